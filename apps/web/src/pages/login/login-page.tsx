import EyeInvisibleOutlined from '@ant-design/icons/es/icons/EyeInvisibleOutlined';
import EyeOutlined from '@ant-design/icons/es/icons/EyeOutlined';
import { toApiError, type ApiError } from '@deepspace/api-client';
import { useNavigate, useRouter, useSearch } from '@tanstack/react-router';
import { useEffect, useId, useRef, useState, type FormEvent } from 'react';
import { useTranslation } from 'react-i18next';
import { Brand } from '../../components/layout/brand';
import { LanguageSwitch, ThemeSwitch } from '../../components/layout/preferences';
import { useErrorText } from '../../hooks/useErrorText';
import { usePageTitle } from '../../hooks/usePageTitle';
import { useUserStore } from '../../stores/user-store';
import '../../styles/login.css';

type FieldName = 'email' | 'password';
type Problems = Partial<Record<FieldName, string>>;

interface FieldProps {
  name: FieldName;
  problem: string | undefined;
  type: string;
  autoComplete: string;
  autoFocus?: boolean;
  children?: React.ReactNode;
}

function Field({ name, problem, type, autoComplete, autoFocus = false, children }: FieldProps) {
  const { t } = useTranslation('auth');
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{t(name)}</label>
      <div className={problem ? 'field-box field-bad' : 'field-box'}>
        <input
          id={id}
          name={name}
          type={type}
          autoComplete={autoComplete}
          autoFocus={autoFocus}
          aria-invalid={problem !== undefined}
          aria-describedby={problem ? `${id}-problem` : undefined}
        />
        {children}
      </div>
      {problem ? <p className="field-problem" id={`${id}-problem`}>{problem}</p> : null}
    </div>
  );
}

function useSignIn() {
  const { t } = useTranslation('auth');
  const signIn = useUserStore((state) => state.signIn);
  const navigate = useNavigate();
  const router = useRouter();
  const { next } = useSearch({ from: '/login' });
  const [problems, setProblems] = useState<Problems>({});
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (email: string, password: string) => {
    const found: Problems = {};
    if (email === '') found.email = t('emailRequired');
    else if (!/^\S+@\S+$/.test(email)) found.email = t('emailInvalid');
    if (password === '') found.password = t('passwordRequired');
    setProblems(found);
    setError(null);
    if (Object.keys(found).length > 0) return;
    setBusy(true);
    try {
      await signIn(email, password);
      if (next) router.history.push(next);
      else await navigate({ to: '/' });
    } catch (thrown) {
      setError(toApiError(thrown));
      setBusy(false);
    }
  };
  return { problems, error, busy, submit };
}

function SignInForm() {
  const { t } = useTranslation(['auth', 'common']);
  const errorText = useErrorText();
  const { problems, error, busy, submit } = useSignIn();
  const [shown, setShown] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    form.current?.querySelector<HTMLInputElement>('[aria-invalid="true"]')?.focus();
  }, [problems]);
  const onSubmit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    void submit(String(data.get('email') ?? '').trim(), String(data.get('password') ?? ''));
  };
  const eye = t(shown ? 'hidePassword' : 'showPassword');
  return (
    <form className="signin-form" ref={form} onSubmit={onSubmit} noValidate>
      {error ? (
        <div className="signin-error" role="alert">
          <p>{errorText(error.code)}</p>
          {error.traceId ? <p className="signin-trace">{t('common:state.traceReference', { id: error.traceId })}</p> : null}
        </div>
      ) : null}
      <Field name="email" type="email" autoComplete="username" problem={problems.email} autoFocus />
      <Field name="password" type={shown ? 'text' : 'password'} autoComplete="current-password" problem={problems.password}>
        <button type="button" className="ds-icon-button" aria-label={eye} title={eye} aria-pressed={shown} onClick={() => setShown((was) => !was)}>
          {shown ? <EyeInvisibleOutlined aria-hidden="true" /> : <EyeOutlined aria-hidden="true" />}
        </button>
      </Field>
      <button type="submit" className="primary-button" disabled={busy}>{t(busy ? 'submitting' : 'submit')}</button>
    </form>
  );
}

export function LoginPage() {
  const { t } = useTranslation('auth');
  usePageTitle(t('title'));
  useEffect(() => {
    // The next page is on its way while the password is typed.
    void import('../chat/chat-page');
  }, []);
  return (
    <main className="signin">
      <section className="signin-card" aria-labelledby="signin-title">
        <Brand size={36} withName />
        <h1 id="signin-title">{t('title')}</h1>
        <p className="signin-subtitle">{t('subtitle')}</p>
        <SignInForm />
        <p className="signin-note">{t('firstRun')}</p>
      </section>
      <footer className="signin-foot">
        <LanguageSwitch />
        <ThemeSwitch />
      </footer>
    </main>
  );
}
