/*
 * delivery_vault: an agent (A) has the vault (B) use, or lend, a secret for a
 * connection to a next hop.
 *
 * Instance VAULT_KEYS answers ask_client_sign (the key of a client
 * certificate), instance VAULT_PASSWORDS answers ask_credentials.
 */
#ifndef POSTERN_EDGES_DELIVERY_VAULT_H
#define POSTERN_EDGES_DELIVERY_VAULT_H

#include "edges/vault_limits.h"
#include "lib/ipc/channel.h"

/* As ask_sign of smtpd_vault.h. */
#define ASK_CLIENT_SIGN(F)         \
	F(bin, key, VAULT_KEY_ID)  \
	F(u8, scheme, VAULT_ECDSA) \
	F(bin, input, VAULT_SIGN_MAX)
WIRE_DECLARE(ask_client_sign, ASK_CLIENT_SIGN)

#define ANSWER_CLIENT_SIGNED(F) \
	F(bin, output, VAULT_SIGN_MAX) /* empty: no such key, or it failed */
WIRE_DECLARE(answer_client_signed, ANSWER_CLIENT_SIGNED)

/* Of the attempt that is about to say AUTH: the value of label in a table of
 * `relay ... auth', user:password. */
#define ASK_CREDENTIALS(F) \
	F(str, table, 255) \
	F(str, label, 255)
WIRE_DECLARE(ask_credentials, ASK_CREDENTIALS)

#define ANSWER_CREDENTIALS(F)                                        \
	F(u8, found, 1) /* else there is no such label, or it has no \
			 * user:password */                          \
	F(str, user, 255)                                            \
	F(str, password, VAULT_SECRET_MAX)
WIRE_DECLARE(answer_credentials, ANSWER_CREDENTIALS)

/* clang-format off */
#define DELIVERY_VAULT(M)                                                     \
	M(ask_client_sign,      EDGE_A_TO_B, PHASE_RUN, 0)                    \
	M(answer_client_signed, EDGE_B_TO_A, PHASE_RUN, 0)                    \
	M(ask_credentials,      EDGE_A_TO_B, PHASE_RUN, 0)                    \
	M(answer_credentials,   EDGE_B_TO_A, PHASE_RUN, 0)
/* clang-format on */
EDGE_DECLARE(delivery_vault, DELIVERY_VAULT)

#endif
