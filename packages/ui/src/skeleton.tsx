interface SkeletonProps {
  label: string;
  /** Width of each line in percent. */
  lines?: readonly number[];
}

/** Grey lines in the place of text that is on its way. */
export function Skeleton({ label, lines = [40, 90, 75] }: SkeletonProps) {
  return (
    <div className="ds-skeleton" role="status" aria-label={label}>
      {lines.map((width, index) => (
        <span key={index} className="ds-skeleton-line" style={{ width: `${width}%` }} />
      ))}
    </div>
  );
}
