import type { ReactNode } from 'react';

interface EmptyStateProps {
  icon?: ReactNode;
  title: string;
  description?: string;
  children?: ReactNode;
}

/** A room without content: says what it is for and what to do next. */
export function EmptyState({ icon, title, description, children }: EmptyStateProps) {
  return (
    <div className="ds-state">
      {icon ? <div className="ds-state-icon" aria-hidden="true">{icon}</div> : null}
      <h2 className="ds-state-title">{title}</h2>
      {description ? <p className="ds-state-text">{description}</p> : null}
      {children}
    </div>
  );
}
