/**
 * Whether a result of a bind says something about the name and the password, and not about the server (RFC 4511 section 4.1.9, RFC
 * 4513 section 5): what a busy server says is not to be remembered of anybody.
 */
export function saysWho(code: number): boolean {
  return ABOUT_WHO.has(code);
}

const ABOUT_WHO: ReadonlySet<number> = new Set([
  0, // success
  19, // constraintViolation: too many attempts
  32, // noSuchObject
  34, // invalidDNSyntax
  48, // inappropriateAuthentication
  49, // invalidCredentials
  50, // insufficientAccessRights
  53, // unwillingToPerform: a locked account
]);
