/** Where a certificate's responder is, by Node's text of its authority information; null: it names none. */
export function responderIn(infoAccess: string | undefined): string | null {
  return /OCSP - URI:"?(https?:\/\/[^\s"]+)/.exec(infoAccess ?? '')?.[1] ?? null;
}
