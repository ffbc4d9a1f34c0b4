import { TextInput, type TextInputProps } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';
import { Icon } from './icons.tsx';

/**
 * Words to look for that are kept in the address. That tells of them later than they are typed: the input has them of its own, or the
 * caret would jump, and what is typed by way of others, as Japanese is, would come to nothing.
 */
export function FindInput({
  words,
  onFind,
  ...rest
}: Omit<TextInputProps, 'value' | 'onChange'> & {
  readonly words: string;
  readonly onFind: (words: string) => void;
}) {
  const [typed, setTyped] = useState(words);
  /** What the address said last, and what it has been told since. */
  const told = useRef<readonly string[]>([words]);
  useEffect(() => {
    const at = told.current.indexOf(words);
    told.current = at < 0 ? [words] : told.current.slice(at);
    // Not from here: somebody went back, or asked for all.
    if (at < 0) setTyped(words);
  }, [words]);
  return (
    <TextInput
      leftSection={<Icon name="search" size={16} />}
      value={typed}
      onChange={({ currentTarget }) => {
        setTyped(currentTarget.value);
        told.current = [...told.current, currentTarget.value];
        onFind(currentTarget.value);
      }}
      style={{ flex: '1 1 240px' }}
      {...rest}
    />
  );
}
