/** Lines of 24 by 24, drawn for this UI. */
export const PATHS = {
  overview: 'M4 13h6V4H4zM14 20h6v-9h-6zM4 20h6v-3H4zM14 7h6V4h-6z',
  nodes: 'M4 5h16v5H4zM4 14h16v5H4zM8 7.5h.01M8 16.5h.01',
  services: 'M12 3l8 4.5v9L12 21l-8-4.5v-9zM12 12l8-4.5M12 12v9M12 12L4 7.5',
  routes:
    'M6 19a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM18 9a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM16 7H9.5a3.5 3.5 0 0 0 0 7h5a3.5 3.5 0 0 1 0 7H8',
  plugins: 'M9 3v5M15 3v5M6 8h12v3a6 6 0 0 1-12 0zM12 17v4',
  consumers:
    'M9 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM2 21v-1a6 6 0 0 1 6-6h2a6 6 0 0 1 6 6v1M16 3.5a4 4 0 0 1 0 7.5M19 14.5a6 6 0 0 1 3 5.5v1',
  upstreams: 'M12 3v6M12 9l-7 6M12 9l7 6M12 9v6M3 15h4v5H3zM10 15h4v5h-4zM17 15h4v5h-4z',
  certificates: 'M12 3l8 3v6c0 5-3.5 8-8 9-4.500-1-8-4-8-9V6zM9 12l2 2 4-4',
  keys: 'M15 10a4 4 0 1 0-4-4c0 .7.200 1.400.500 2L3 16.500V21h4.500l.500-3h3l.500-3 2.500-1.500c.300.300.600.500 1 .500z',
  more: 'M5 12h.01M12 12h.01M19 12h.01',
  explain:
    'M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM20 20l-4-4M9.500 9a1.700 1.700 0 1 1 2.300 1.600c-.500.200-.800.600-.800 1.100M11 14h.01',
  changes: 'M12 8v4l3 2M3.500 10a9 9 0 1 1 .300 5M3 4v6h6',
  releases: 'M12 3v12M7 8l5-5 5 5M5 21h14',
  replay: 'M4 12a8 8 0 1 0 2.500-5.800M4 4v5h5M10 9l5 3-5 3z',
  traffic: 'M3 17l5-6 4 4 5-8 4 5M3 21h18',
  transfer: 'M7 4v13M3 8l4-4 4 4M17 20V7M13 16l4 4 4-4',
  alert: 'M12 4L2.500 20h19zM12 10v4M12 17h.01',
  check: 'M5 12.500l4.500 4.500L19 7',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  plus: 'M12 5v14M5 12h14',
  search: 'M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM20 20l-4-4',
  trash: 'M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5',
  edit: 'M4 20h4L19 9l-4-4L4 16zM13 7l4 4',
  close: 'M6 6l12 12M18 6L6 18',
  up: 'M6 15l6-6 6 6',
  down: 'M6 9l6 6 6-6',
  right: 'M9 6l6 6-6 6',
  sun: 'M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.400 1.400M17.600 17.600L19 19M5 19l1.400-1.400M17.600 6.400L19 5',
  moon: 'M20 14.500A8 8 0 0 1 9.500 4 8 8 0 1 0 20 14.500z',
  lock: 'M6 11h12v9H6zM8.500 11V8a3.500 3.500 0 0 1 7 0v3',
  tag: 'M3 12V4h8l10 10-7 7zM7.500 8h.01',
  download: 'M12 4v11M7 11l5 5 5-5M5 20h14',
  anchor: 'M12 8v13M5 13c0 5 3 8 7 8s7-3 7-8M8 12h8M12 8a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5z',
} as const;

export type IconName = keyof typeof PATHS;
