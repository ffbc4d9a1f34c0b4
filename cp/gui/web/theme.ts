import { type CSSVariablesResolver, createTheme } from '@mantine/core';

export const theme = createTheme({
  primaryColor: 'cyan',
  // White on the lighter ones is hard to read.
  primaryShade: { light: 9, dark: 9 },
  autoContrast: true,
  defaultRadius: 'md',
  cursorType: 'pointer',
  respectReducedMotion: true,
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif',
  fontFamilyMonospace: 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace',
  headings: { fontWeight: '650' },
  components: {
    Tooltip: { defaultProps: { events: { hover: true, focus: true, touch: true }, withArrow: true } },
    // Who chooses once more what is chosen does not mean to take it away: for that there is a button.
    Select: { defaultProps: { allowDeselect: false } },
    Modal: { defaultProps: { closeButtonProps: { 'aria-label': 'Close' } } },
  },
});

const POINTED_AT = {
  '--mantine-color-cyan-filled-hover': '#095c6b',
  '--mantine-color-red-filled-hover': '#a61e1e',
};

/** Mantine's greys for what is less important, and buttons pointed at, stand out too little for WCAG's 4.5 to 1. */
export const contrasts: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    ...POINTED_AT,
    '--mantine-color-dimmed': '#53606d',
    '--mantine-color-placeholder': '#66727e',
    '--mantine-color-error': '#c2255c',
    '--mantine-color-anchor': '#0b7285',
    '--hf-faint': '#adb5bd',
    '--hf-band': '#f1f5f7',
  },
  dark: {
    ...POINTED_AT,
    '--mantine-color-dimmed': '#b3bac1',
    '--mantine-color-placeholder': '#a3abb3',
    '--mantine-color-error': '#ff8787',
    '--mantine-color-anchor': '#66d9e8',
    '--hf-faint': '#696969',
    '--hf-band': '#2a2a2a',
  },
});
