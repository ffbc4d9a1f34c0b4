/** The name on a shared cluster certificate, and what data planes send as SNI: Kong's. */
export const SHARED_SERVER_NAME = 'kong_clustering';

/** What a URI among a certificate's alternative names begins with that is a label of its data plane: `urn:holdfast:label:region=eu`. */
export const LABEL_URN = 'urn:holdfast:label:';
