import type { Locator, Page } from 'playwright-core';

/** What a hand does to one input, found by its label as it stands on the screen. */
export type Step =
  /** Types into a text or a number. */
  | readonly ['type', label: string, text: string]
  /** Types words, each ended by Enter. */
  | readonly ['words', label: string, ...words: string[]]
  /** Chooses from a list. */
  | readonly ['choose', label: string, option: string]
  /** Turns a switch. */
  | readonly ['turn', label: string]
  /** Opens what most people need not see. */
  | readonly ['more']
  /** Presses a button of the form. */
  | readonly ['press', button: string];

/** Fills in the form of a page, or a part of it. */
export async function fillIn(page: Page, steps: readonly Step[], form: Locator = page.locator('form')): Promise<void> {
  for (const step of steps) {
    const [how, label = ''] = step;
    switch (how) {
      case 'more': {
        const more = form.getByRole('button', { name: /^More settings/ });
        await more.click();
        // It begins to unfold a frame or two later; while it does, what is in it moves away from under a press.
        await more.locator('xpath=following-sibling::div[not(contains(@style, "height"))]').waitFor();
        break;
      }
      case 'type':
        await form.getByRole('textbox', { name: label, exact: true }).first().fill(step[2]);
        break;
      case 'words':
        for (const word of step.slice(2)) {
          const input = form.getByRole('combobox', { name: label, exact: true });
          await input.fill(word);
          await input.press('Enter');
        }
        break;
      case 'choose':
        await form.getByRole('combobox', { name: label, exact: true }).click();
        await page.getByRole('option', { name: step[2], exact: true }).click();
        break;
      case 'turn':
        await form.getByRole('switch', { name: label, exact: true }).press('Space');
        break;
      case 'press':
        await form.getByRole('button', { name: label, exact: true }).click();
        break;
    }
  }
}
