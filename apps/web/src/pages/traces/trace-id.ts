const TRACE_ID = /^[0-9a-f]{32}$/;

/** A trace id as people paste it: with blanks, capitals or as a whole address. Null when there is none in it. */
export function readTraceId(text: string): string | null {
  const tail = text.trim().toLowerCase().split('/').at(-1) ?? '';
  const bare = tail.replace(/[\s-]/g, '');
  return TRACE_ID.test(bare) ? bare : null;
}
