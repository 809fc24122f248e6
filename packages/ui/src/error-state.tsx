import type { ReactNode } from 'react';

interface ErrorStateProps {
  title: string;
  description?: string | undefined;
  /** Smaller print under the message, for instance the trace id. */
  reference?: ReactNode;
  children?: ReactNode;
}

/** A room that failed: what failed, why, and what to do. */
export function ErrorState({ title, description, reference, children }: ErrorStateProps) {
  return (
    <div className="ds-state ds-state-error" role="alert">
      <h2 className="ds-state-title">{title}</h2>
      {description ? <p className="ds-state-text">{description}</p> : null}
      {children}
      {reference ? <p className="ds-state-reference">{reference}</p> : null}
    </div>
  );
}
