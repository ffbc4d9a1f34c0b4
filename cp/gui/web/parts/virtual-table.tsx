// biome-ignore-all lint/a11y/useSemanticElements: rows that are placed one by one are no rows of a table element
// biome-ignore-all lint/a11y/useFocusableInteractive: the links and buttons in cells have the focus
// biome-ignore-all lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard (WCAG 2.1.1)
import { useVirtualizer } from '@tanstack/react-virtual';
import { type ReactNode, useRef } from 'react';
import { Icon } from './icons.tsx';

/** A column: how wide it is as a track of a CSS grid, and whether it is left out on a narrow screen. */
export interface Column<Row, Key extends string> {
  readonly key: string;
  readonly title: string;
  readonly width: string;
  readonly wide?: boolean;
  readonly sort?: Key;
  readonly cell: (row: Row) => ReactNode;
}

interface Sorting<Key extends string> {
  readonly by: Key;
  readonly descending: boolean;
  readonly onSort: (by: Key) => void;
}

const ROW = 48;

/**
 * A table that draws only the rows that are in view. Its columns keep their width on a narrow screen, where those that are `wide` are left out.
 */
export function VirtualTable<Row, Key extends string = string>(props: {
  readonly label: string;
  readonly rows: readonly Row[];
  readonly columns: readonly Column<Row, Key>[];
  readonly keyOf: (row: Row) => string;
  readonly narrow: boolean;
  readonly sorting?: Sorting<Key>;
}) {
  const { rows, sorting, keyOf } = props;
  const columns = props.narrow ? props.columns.filter(({ wide }) => wide !== true) : props.columns;
  const frame = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => frame.current,
    estimateSize: () => ROW,
    overscan: 12,
  });
  const tracks = { gridTemplateColumns: columns.map(({ width }) => width).join(' ') };
  const shown = virtual.getVirtualItems();
  return (
    <div
      className="hf-table"
      ref={frame}
      style={{ maxHeight: 'max(320px, calc(100dvh - 280px))' }}
      tabIndex={0}
      role="region"
      aria-label={props.label}
    >
      <div role="table" aria-label={props.label} aria-rowcount={rows.length + 1}>
        <div role="row" aria-rowindex={1} className="hf-row hf-row-head" style={tracks}>
          {columns.map(({ key, title, sort }) => (
            <div
              key={key}
              role="columnheader"
              {...(sorting !== undefined &&
                sort === sorting.by && {
                  'aria-sort': sorting.descending ? ('descending' as const) : ('ascending' as const),
                })}
            >
              {sorting === undefined || sort === undefined ? (
                title
              ) : (
                <button type="button" className="hf-sort" onClick={() => sorting.onSort(sort)}>
                  {title}
                  {sort === sorting.by && <Icon name={sorting.descending ? 'down' : 'up'} size={12} />}
                </button>
              )}
            </div>
          ))}
        </div>
        <div role="rowgroup" style={{ height: virtual.getTotalSize(), position: 'relative' }}>
          {shown.map(({ index, start }) => {
            const row = rows[index];
            if (row === undefined) return null;
            return (
              <div
                key={keyOf(row)}
                role="row"
                aria-rowindex={index + 2}
                className="hf-row"
                data-hover
                style={{
                  ...tracks,
                  position: 'absolute',
                  top: 0,
                  left: 0,
                  right: 0,
                  height: ROW,
                  transform: `translateY(${start}px)`,
                }}
              >
                {columns.map(({ key, cell }) => (
                  <div key={key} role="cell">
                    {cell(row)}
                  </div>
                ))}
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}
