import { listModels, type Model } from '@deepspace/api-client';
import { useQuery } from '@tanstack/react-query';
import { useChatStore } from '../stores/chat-store';

async function listChatModels(projectId: string): Promise<Model[]> {
  return (await listModels(projectId)).filter((model) => model.purpose === 'chat');
}

export function useModels(projectId: string | null) {
  return useQuery({ queryKey: ['list_models', projectId], queryFn: () => listChatModels(projectId ?? ''), enabled: projectId !== null });
}

/** The model of the next message: the chosen one while it can be called, else a real one before a demonstration one. */
export function pickModel(models: Model[], chosen: string | null): Model | null {
  const callable = models.filter((model) => model.pricing !== null);
  return callable.find((model) => model.id === chosen) ?? callable.find((model) => !model.local) ?? callable[0] ?? null;
}

export function useCurrentModel(models: Model[] | undefined): Model | null {
  const chosen = useChatStore((state) => state.modelId);
  return pickModel(models ?? [], chosen);
}
