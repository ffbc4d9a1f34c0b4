import 'reflect-metadata';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BasicConstraintsExtension, X509Certificate } from '@peculiar/x509';
import { expect, onTestFinished, test } from 'vitest';
import { generateAuthority } from '../../../cp/pki/authority.ts';

test('a CA made here allows three intermediates below it, as its two ends do', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'authority '));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const { cert } = await generateAuthority(folder);
  const certificate = new X509Certificate(readFileSync(cert, 'utf8'));
  expect(certificate.getExtension(BasicConstraintsExtension)).toMatchObject({ ca: true, pathLength: 3 });
});
