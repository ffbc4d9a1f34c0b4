// biome-ignore-all lint/a11y/useSemanticElements: no element of HTML goes through moments of a drawing
import { Text, useComputedColorScheme } from '@mantine/core';
import { type KeyboardEvent, useEffect, useRef, useState } from 'react';
import UPlot from 'uplot';
import { dateAndTime } from '../parts/time.ts';

/** A line of a chart: its name, and its colour in light and dark, which stand out from the page by 3 to 1. */
export interface Line {
  readonly label: string;
  readonly colors: readonly [light: string, dark: string];
  readonly values: readonly (number | null)[];
  readonly dash?: readonly number[];
}

const HEIGHT = 200;
const TIME = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });

/**
 * Lines over time, in seconds since 1970. Moments are gone through with the pointer or, when it has the focus, with the arrow keys; what
 * is there then is told below it, and to readers.
 */
export function Chart(props: {
  readonly label: string;
  readonly times: readonly number[];
  readonly lines: readonly Line[];
  readonly text: (value: number) => string;
}) {
  const { label, times, lines, text } = props;
  const scheme = useComputedColorScheme('light');
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<UPlot | null>(null);
  const [at, setAt] = useState<number | null>(null);
  const names = lines.map((line) => line.label).join('\n');
  const shownText = useRef(text);
  shownText.current = text;
  const drawn = useRef(lines);
  drawn.current = lines;

  // Made anew only for another theme or other lines: what is new of the same lines is put in below.
  useEffect(() => {
    const host = place.current;
    if (host === null) return undefined;
    const dark = scheme === 'dark' ? 1 : 0;
    const axis = { stroke: dark ? '#b3bac1' : '#53606d', grid: { stroke: dark ? '#3b3b3b' : '#e4e9ed', width: 1 } };
    const made = new UPlot(
      {
        width: Math.max(host.clientWidth, 100),
        height: HEIGHT,
        legend: { show: false },
        cursor: { y: false, drag: { setScale: false }, points: { size: 7 } },
        scales: { y: { range: (_, __, most) => [0, most > 0 ? most * 1.08 : 1] } },
        axes: [
          {
            ...axis,
            ticks: { show: false },
            // Below the number at the other axis, which may be as low.
            gap: 12,
            size: 38,
            space: 70,
            values: (_, splits) => splits.map((at) => TIME.format(at * 1000)),
          },
          {
            ...axis,
            ticks: { show: false },
            size: 62,
            space: 36,
            values: (_, splits) => splits.map((value) => shownText.current(value)),
          },
        ],
        series: [
          {},
          ...drawn.current.map(({ label: name, colors, dash }) => ({
            label: name,
            stroke: colors[dark],
            width: 1.8,
            ...(dash !== undefined && { dash: [...dash] }),
            points: { show: true, size: 3, filter: lonely },
          })),
        ],
        hooks: { setCursor: [({ cursor }) => setAt(cursor.idx ?? null)] },
      },
      undefined,
      host,
    );
    chart.current = made;
    const resized = new ResizeObserver(() => made.setSize({ width: Math.max(host.clientWidth, 100), height: HEIGHT }));
    resized.observe(host);
    return () => {
      resized.disconnect();
      made.destroy();
      chart.current = null;
    };
  }, [scheme, names]);

  useEffect(() => {
    chart.current?.setData([[...times], ...lines.map(({ values }) => [...values])]);
  }, [times, lines, scheme, names]);

  const last = times.length - 1;
  const chosen = at === null ? last : Math.min(at, last);
  const move = ({ key, preventDefault }: { readonly key: string; readonly preventDefault: () => void }) => {
    const steps: Readonly<Record<string, number>> = { ArrowLeft: -1, ArrowRight: 1, PageDown: -10, PageUp: 10 };
    const next = key === 'Home' ? 0 : key === 'End' ? last : chosen + (steps[key] ?? 0);
    if (!(key in steps) && key !== 'Home' && key !== 'End') return;
    preventDefault();
    const kept = Math.max(0, Math.min(last, next));
    const made = chart.current;
    const moment = times[kept];
    if (made === null || moment === undefined) return;
    made.setCursor({ left: made.valToPos(moment, 'x'), top: HEIGHT / 2 });
    setAt(kept);
  };
  const values = lines.map((line) => {
    const value = line.values[chosen];
    return { ...line, shown: value === null || value === undefined ? 'none' : text(value) };
  });
  const moment = times[chosen];
  const when = moment === undefined ? '' : dateAndTime(moment);
  return (
    <div>
      <div
        ref={place}
        className="hf-chart"
        role="slider"
        tabIndex={0}
        aria-label={label}
        aria-orientation="horizontal"
        aria-valuemin={0}
        aria-valuemax={Math.max(last, 0)}
        aria-valuenow={Math.max(chosen, 0)}
        aria-valuetext={`${when}: ${values.map(({ label: name, shown }) => `${name} ${shown}`).join(', ')}`}
        onKeyDown={(event: KeyboardEvent) => move({ key: event.key, preventDefault: () => event.preventDefault() })}
      />
      <div className="hf-legend">
        <Text size="sm" c="dimmed" className="hf-num">
          {when}
        </Text>
        {values.map(({ label: name, colors, shown }) => (
          <Text key={name} size="sm" className="hf-num">
            <span className="hf-key" style={{ background: colors[scheme === 'dark' ? 1 : 0] }} />
            {name} <b>{shown}</b>
          </Text>
        ))}
      </div>
    </div>
  );
}

/** Values that no line leads to or from, which would not be seen. */
function lonely(chart: UPlot, series: number): number[] {
  const values = chart.data[series] ?? [];
  const isThere = (at: number) => values[at] != null;
  return [...values.keys()].filter((at) => isThere(at) && !isThere(at - 1) && !isThere(at + 1));
}
