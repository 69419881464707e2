/*
 * smtpd_vault: a session (A) has the vault (B) use a secret that it may not
 * see itself.
 *
 * The vault runs twice: instance VAULT_KEYS has the private keys and answers
 * ask_sign, instance VAULT_PASSWORDS has the values of the tables of `auth'
 * and answers ask_password, ask_scram and ask_scram_proof. What the other
 * answers it refuses.
 */
#ifndef POSTERN_EDGES_SMTPD_VAULT_H
#define POSTERN_EDGES_SMTPD_VAULT_H

#include "edges/edges.h"
#include "edges/vault_limits.h"
#include "lib/ipc/channel.h"

/* --- keys --- */

#define ASK_SIGN(F)                \
	F(bin, key, VAULT_KEY_ID)  \
	F(u8, scheme, VAULT_ECDSA) \
	F(bin, input, VAULT_SIGN_MAX)
WIRE_DECLARE(ask_sign, ASK_SIGN)

#define ANSWER_SIGNED(F) \
	F(bin, output, VAULT_SIGN_MAX) /* empty: no such key, or it failed */
WIRE_DECLARE(answer_signed, ANSWER_SIGNED)

/* --- passwords --- */

enum vault_verdict {
	VAULT_RIGHT,
	VAULT_WRONG, /* also: there is no such user; takes as long */
	VAULT_BUSY,  /* too many wait already: 454 4.7.0 */
	VAULT_FAULT  /* no such table, or a value that nobody understands */
};

/* PLAIN and LOGIN. */
#define ASK_PASSWORD(F)    \
	F(str, table, 255) \
	F(str, user, 255)  \
	F(str, password, VAULT_SECRET_MAX)
WIRE_DECLARE(ask_password, ASK_PASSWORD)

#define ANSWER_PASSWORD(F) F(u8, verdict, VAULT_FAULT)
WIRE_DECLARE(answer_password, ANSWER_PASSWORD)

/* SCRAM-SHA-256 (RFC 7677): what the server's first message needs. For a user
 * that is not there (or has no such secret) always the same salt, made up. */
#define ASK_SCRAM(F)       \
	F(str, table, 255) \
	F(str, user, 255)
WIRE_DECLARE(ask_scram, ASK_SCRAM)

#define ANSWER_SCRAM(F)                                \
	F(u8, verdict, VAULT_FAULT) /* RIGHT: go on */ \
	F(bin, salt, 64)                               \
	F(u32, iterations, 10000000)
WIRE_DECLARE(answer_scram, ANSWER_SCRAM)

/* Its last message: is the proof right over this AuthMessage (RFC 5802 3)? */
#define ASK_SCRAM_PROOF(F)         \
	F(str, table, 255)         \
	F(str, user, 255)          \
	F(str, auth_message, 4096) \
	F(bin, proof, 32)
WIRE_DECLARE(ask_scram_proof, ASK_SCRAM_PROOF)

#define ANSWER_SCRAM_PROOF(F)       \
	F(u8, verdict, VAULT_FAULT) \
	F(bin, signature, 32) /* ServerSignature, when RIGHT */
WIRE_DECLARE(answer_scram_proof, ANSWER_SCRAM_PROOF)

/* clang-format off */
#define SMTPD_VAULT(M)                                                        \
	M(ask_sign,           EDGE_A_TO_B, PHASE_RUN, 0)                      \
	M(answer_signed,      EDGE_B_TO_A, PHASE_RUN, 0)                      \
	M(ask_password,       EDGE_A_TO_B, PHASE_RUN, 0)                      \
	M(answer_password,    EDGE_B_TO_A, PHASE_RUN, 0)                      \
	M(ask_scram,          EDGE_A_TO_B, PHASE_RUN, 0)                      \
	M(answer_scram,       EDGE_B_TO_A, PHASE_RUN, 0)                      \
	M(ask_scram_proof,    EDGE_A_TO_B, PHASE_RUN, 0)                      \
	M(answer_scram_proof, EDGE_B_TO_A, PHASE_RUN, 0)
/* clang-format on */
EDGE_DECLARE(smtpd_vault, SMTPD_VAULT)

#endif
