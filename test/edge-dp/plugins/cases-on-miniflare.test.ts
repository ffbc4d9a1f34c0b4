import { runCases } from './case-runner/run-cases.ts';

// The Worker that workerd's host runs, so these are plugins that touch what Miniflare does otherwise: its HTTP front, its sockets.
runCases('Miniflare', ['acl', 'cors', 'hmac-auth', 'key-auth', 'ldap-auth', 'pre-function', 'request-size-limiting']);
