/**
 * A line without axes, as high as its largest value; where there is no value there is no line. What it shows is said beside it in
 * words, so it is hidden from readers.
 */
export function Sparkline(props: {
  readonly values: readonly (number | null)[];
  readonly color: string;
  readonly width?: number;
  readonly height?: number;
  /** As wide as there is room. */
  readonly stretch?: boolean;
}) {
  const { values, color, width = 120, height = 28, stretch = false } = props;
  const most = Math.max(...values.map((value) => value ?? 0), Number.MIN_VALUE);
  const across = values.length > 1 ? width / (values.length - 1) : 0;
  const path = values.reduce<string>((drawn, value, at) => {
    if (value === null) return drawn;
    const joined = at > 0 && values[at - 1] !== null;
    const y = height - 1.5 - (value / most) * (height - 3);
    return `${drawn}${joined ? 'L' : 'M'}${(at * across).toFixed(1)} ${y.toFixed(1)}${joined ? '' : 'h.01'}`;
  }, '');
  return (
    <svg
      aria-hidden="true"
      viewBox={`0 0 ${width} ${height}`}
      preserveAspectRatio="none"
      height={height}
      width={stretch ? '100%' : width}
      style={{ display: 'block', overflow: 'visible' }}
    >
      <path
        d={path}
        fill="none"
        stroke={color}
        strokeWidth={1.5}
        strokeLinejoin="round"
        vectorEffect="non-scaling-stroke"
      />
    </svg>
  );
}
