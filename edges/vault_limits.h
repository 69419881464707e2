/* What the edges of the vault have in common. */
#ifndef POSTERN_EDGES_VAULT_LIMITS_H
#define POSTERN_EDGES_VAULT_LIMITS_H

enum {
	VAULT_KEY_ID = 32,      /* SHA-256 of the SubjectPublicKeyInfo, DER */
	VAULT_SIGN_MAX = 1024,  /* bytes in and out: RSA up to 8192 bits */
	VAULT_SECRET_MAX = 1024 /* of a password, of an authorization text */
};

enum vault_scheme {
	VAULT_RSA_RAW, /* the private operation on a block that is padded as a
			* signature, as long as the modulus */
	VAULT_ECDSA    /* a signature (DER) over this digest */
};

#endif
