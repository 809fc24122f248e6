import { errorFromResponse } from './errors';
import { session } from './client';

/** One entry of GET /v1/models. `pricing: null` means that the model cannot be called. */
export interface Model {
  id: string;
  object: 'model';
  created: number;
  owned_by: string;
  context_length: number | null;
  max_output_tokens: number | null;
  /** A small demonstration model on the server itself. */
  local: boolean;
  /** What the model is for; only those for chat can answer one. */
  purpose: 'chat' | 'embeddings' | 'other';
  pricing: { currency: string; per_million: Record<string, string>; per_call: string } | null;
}

export async function listModels(projectId: string): Promise<Model[]> {
  const response = await session.fetch('/v1/models', { headers: { 'x-deepspace-project': projectId } });
  if (!response.ok) throw await errorFromResponse(response);
  const body = (await response.json()) as { data: Model[] };
  return body.data;
}
