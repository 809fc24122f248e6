import type { Model, Organization } from '@deepspace/api-client';
import { pickModel } from '../src/hooks/useModels';
import { readTraceId } from '../src/pages/traces/trace-id';
import { span } from '../src/pages/traces/timeline';
import { safeNext } from '../src/router';
import { useBillingStore } from '../src/stores/billing-store';
import { choosePlace } from '../src/stores/user-store';

const organization = (id: string, ...projects: string[]): Organization => ({
  id,
  name: id,
  role: 'owner',
  permissions: [],
  currency: 'USD',
  projects: projects.map((project) => ({
    id: project, name: project, access: 'organization', is_default: false, archived_at: null, created_at: '2026-01-01T00:00:00Z', role: null, permissions: [],
  })),
});

describe('choosePlace', () => {
  it('goes back to the project of the last visit', () => {
    expect(choosePlace([organization('a', 'p1'), organization('b', 'p2')], 'p2')).toEqual({ organizationId: 'b', projectId: 'p2' });
  });

  it('takes the first project when that one is gone', () => {
    expect(choosePlace([organization('a'), organization('b', 'p2')], 'gone')).toEqual({ organizationId: 'b', projectId: 'p2' });
  });

  it('knows accounts without a project or an organization', () => {
    expect(choosePlace([organization('a')], null)).toEqual({ organizationId: 'a', projectId: null });
    expect(choosePlace([], null)).toEqual({ organizationId: null, projectId: null });
  });
});

describe('pickModel', () => {
  const model = (id: string, local: boolean, priced: boolean): Model => ({
    id, local, purpose: 'chat', object: 'model', created: 0, owned_by: '', context_length: null, max_output_tokens: null,
    pricing: priced ? { currency: 'USD', per_million: {}, per_call: '0' } : null,
  });
  const models = [model('free', false, false), model('small', true, true), model('big', false, true)];

  it('takes the chosen one, else one that is not a demonstration, never one without a price', () => {
    expect(pickModel(models, 'small')?.id).toBe('small');
    expect(pickModel(models, 'free')?.id).toBe('big');
    expect(pickModel(models.slice(0, 2), null)?.id).toBe('small');
    expect(pickModel(models.slice(0, 1), null)).toBeNull();
  });
});

describe('addresses', () => {
  it.each(['//evil.example', 'https://evil.example', '/\\evil.example', '/login?next=/x', '', null, 5])('does not follow %s after sign-in', (value) => {
    expect(safeNext(value)).toBe('/');
  });

  it('follows a path of its own', () => {
    expect(safeNext('/traces/abc?x=1')).toBe('/traces/abc?x=1');
  });

  it('finds the trace id in what people paste', () => {
    const id = '0123456789abcdef0123456789abcdef';
    for (const text of [id, ` ${id.toUpperCase()} `, `http://localhost:8080/traces/${id}`]) expect(readTraceId(text)).toBe(id);
    for (const text of ['', 'hello', id.slice(1), `${id}0`]) expect(readTraceId(text)).toBeNull();
  });
});

describe('the time axis of a trace', () => {
  it('ends a bar where its event was written down', () => {
    expect(span({ offset_ms: 100, duration_ms: 80 }, 100)).toEqual({ left: 20, width: 80 });
    expect(span({ offset_ms: 50, duration_ms: 25 }, 100)).toEqual({ left: 25, width: 25 });
  });

  it.each([0, 1, 99.9, 100, 500])('stays inside the axis at %s ms', (offset_ms) => {
    for (const duration_ms of [null, 0, 50, 1000]) {
      const { left, width } = span({ offset_ms, duration_ms }, 100);
      expect(left).toBeGreaterThanOrEqual(0);
      expect(width).toBeGreaterThan(0);
      expect(left + width).toBeLessThanOrEqual(100.001);
    }
  });

  it('survives a trace without time', () => {
    expect(span({ offset_ms: 0, duration_ms: 0 }, 0).left).toBe(0);
  });
});

describe('billing store', () => {
  it('starts empty and forgets on clear', () => {
    useBillingStore.setState({ loading: true });
    useBillingStore.getState().clear();
    expect(useBillingStore.getState()).toMatchObject({ wallet: null, error: null, loading: false });
  });
});
