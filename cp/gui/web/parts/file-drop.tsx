import { Button, FileButton, Group, Text } from '@mantine/core';
import { type DragEvent, useState } from 'react';
import { Icon } from './icons.tsx';

/** Takes the text of a file that is chosen, or dropped here. `accept`: endings of names, as in HTML. */
export function FileDrop({
  label,
  accept,
  onText,
}: {
  readonly label: string;
  readonly accept: string;
  readonly onText: (text: string) => void;
}) {
  const [over, setOver] = useState(false);
  const take = (file: File | null | undefined) => void file?.text().then(onText);
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer.files[0]);
  };
  return (
    <section
      aria-label={label}
      className="hf-drop"
      data-over={over}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <Group gap="sm">
        <FileButton onChange={take} accept={accept}>
          {(props) => (
            <Button {...props} variant="default" leftSection={<Icon name="transfer" size={16} />}>
              Choose a file
            </Button>
          )}
        </FileButton>
        <Text size="sm" c="dimmed">
          or drop one here, or paste its text below
        </Text>
      </Group>
    </section>
  );
}
