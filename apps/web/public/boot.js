// Sets theme and language before the first paint, so that nothing flashes. Runs before the app's own code.
(() => {
  const root = document.documentElement;
  try {
    const theme = localStorage.getItem('deepspace.theme');
    const dark = theme === 'dark' || (theme !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
    root.dataset.theme = dark ? 'dark' : 'light';
    const locale = localStorage.getItem('deepspace.locale');
    root.lang = locale || (navigator.language.toLowerCase().startsWith('zh') ? 'zh-CN' : 'en-US');
  } catch {
    root.dataset.theme = 'light';
  }
})();
