/*
 * SCRAM-SHA-256 (RFC 5802, RFC 7677): the messages are read and kept here, the
 * secret is used in the vault. Without channel binding: 'n' and 'y' are taken,
 * 'p' is not. Names are taken as they are (no SASLprep): what the table has in
 * another form is another name.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/base/alloc.h"
#include "lib/base/utf8.h"
#include "lib/mail/base64.h"
#include "smtpd/auth_mech.h"

enum {
	NONCE_BYTES = 18, /* of ours; 24 characters */
	NONCE_MAX = 512,  /* of both; the client's is its own choice */
	TRANSCRIPT_MAX = 4096,
	PROOF_SIZE = 32
};

struct scram {
	char *gs2;   /* owned: the header, which comes again */
	char *nonce; /* owned: the client's and ours */
	/* AuthMessage as far as it has come (RFC 5802 3). */
	struct buf transcript;
};

void
scram_free(struct scram **sp)
{
	struct scram *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	free(s->gs2);
	free(s->nonce);
	buf_clear(&s->transcript);
	free(s);
}

/* Of UTF-8 without NUL (RFC 5802 7), also in what means nothing to us: the
 * vault is handed all of it. */
static bool
is_message(struct str in)
{
	return str_find(in, '\0') == in.len && utf8_is_valid(in);
}

/* The next attribute of a message, up to its comma; false at the end. */
static bool
next_attribute(struct str *in, char *name, struct str *value)
{
	size_t n = str_find(*in, ',');
	struct str attr = str_head(*in, n);

	if (attr.len < 2 || !chr_is_alpha(attr.p[0]) || attr.p[1] != '=')
		return false;
	*name = attr.p[0];
	*value = str_skip(attr, 2);
	*in = str_skip(*in, n + 1);
	return true;
}

/* The attribute of this name, and nothing else, comes next. */
static bool
take_attribute(struct str *in, char name, struct str *value)
{
	char found;

	return next_attribute(in, &found, value) && found == name;
}

/* saslname: =2C is a comma, =3D an equals sign. 0, or -1. */
static int
decode_name(struct str in, struct buf *out)
{
	for (size_t i = 0; i < in.len; i++) {
		struct str code = str_head(str_skip(in, i), 3);

		if (in.p[i] != '=')
			buf_add_char(out, in.p[i]);
		else if (str_eq(code, STR("=2C")))
			buf_add_char(out, ',');
		else if (str_eq(code, STR("=3D")))
			buf_add_char(out, '=');
		else
			return -1;
		if (in.p[i] == '=')
			i += 2;
	}
	return out->failed ? -1 : 0;
}

static bool
is_nonce(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < 0x21 || s.p[i] > 0x7e)
			return false;
	return s.len > 0 && s.len <= NONCE_MAX;
}

/* gs2-header: who binds what, and as whom; *rest is what stands behind. */
static enum auth_turn
read_gs2(struct auth *a, struct str in, struct str *authz, struct str *rest)
{
	struct str flag = str_head(in, str_find(in, ','));
	struct str tail = str_skip(in, flag.len + 1);
	struct str as = str_head(tail, str_find(tail, ','));

	if (str_starts_nocase(flag, STR("p=")))
		return auth_fail(a, AUTH_BINDING);
	if (!str_eq(flag, STR("n")) && !str_eq(flag, STR("y")))
		return auth_fail(a, AUTH_MALFORMED);
	if (as.len == tail.len ||
	    (as.len > 0 && (as.len < 3 || as.p[0] != 'a' || as.p[1] != '=')))
		return auth_fail(a, AUTH_MALFORMED);
	*authz = str_skip(as, 2);
	*rest = str_skip(tail, as.len + 1);
	return AUTH_NEXT;
}

/* The client's nonce, and ours behind it. */
static char *
make_nonce(struct str theirs)
{
	char bytes[NONCE_BYTES], *nonce = NULL;
	struct buf b;

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return NULL;
	buf_init(&b, NONCE_MAX + NONCE_BYTES * 2);
	buf_add_str(&b, theirs);
	base64_encode((struct str){ bytes, sizeof(bytes) }, &b);
	nonce = str_dup(buf_str(&b));
	buf_clear(&b);
	return nonce;
}

/* username, nonce; what is optional behind them means nothing to us. */
static enum auth_turn
read_bare(struct auth *a, struct str bare, struct str authz)
{
	struct str name, nonce;
	struct buf user;
	enum auth_turn turn = AUTH_NEXT;

	/* Also when it begins with m=: an extension that must be known. */
	if (!take_attribute(&bare, 'n', &name) ||
	    !take_attribute(&bare, 'r', &nonce) || !is_nonce(nonce))
		return auth_fail(a, AUTH_MALFORMED);
	buf_init(&user, (size_t)AUTH_USER_MAX + 1);
	if (decode_name(name, &user) < 0 && !user.failed)
		turn = auth_fail(a, AUTH_MALFORMED);
	else
		turn = auth_set_user(a, buf_str(&user));
	buf_clear(&user);
	/* Both are encoded the one possible way. */
	if (turn == AUTH_NEXT && authz.len > 0 && !str_eq(authz, name))
		turn = auth_fail(a, AUTH_OTHER);
	if (turn != AUTH_NEXT)
		return turn;
	a->scram->nonce = make_nonce(nonce);
	return a->scram->nonce != NULL ? AUTH_NEXT : auth_fail(a, AUTH_FAULT);
}

static enum auth_turn
client_first(struct auth *a, struct str in)
{
	struct ask_scram m = { .table = auth_table(a) };
	struct str authz = STR(""), bare = STR("");
	uint64_t id = 0;
	enum auth_turn turn;
	int r;

	if (!is_message(in))
		return auth_fail(a, AUTH_MALFORMED);
	turn = read_gs2(a, in, &authz, &bare);
	if (turn != AUTH_NEXT)
		return turn;
	a->scram = xcalloc(1, sizeof(*a->scram));
	a->scram->gs2 = str_dup(str_head(in, in.len - bare.len));
	buf_init(&a->scram->transcript, TRANSCRIPT_MAX);
	buf_add_str(&a->scram->transcript, bare);
	buf_add_char(&a->scram->transcript, ',');
	turn = read_bare(a, bare, authz);
	if (turn != AUTH_NEXT)
		return turn;
	m.user = str_of(a->user);
	r = from_vault_scram(&m, auth_answered, a, &id);
	return auth_asked(a, r, id);
}

static void
server_first(struct auth *a, const struct vault_answer *v)
{
	struct buf *t = &a->scram->transcript;

	buf_addf(&a->out, "r=%s,s=", a->scram->nonce);
	base64_encode(v->salt, &a->out);
	buf_addf(&a->out, ",i=%u", v->iterations);
	buf_add_str(t, buf_str(&a->out));
	buf_add_char(t, ',');
}

/* The header once more, in base64. */
static bool
is_gs2(const struct scram *s, struct str encoded)
{
	struct buf b;
	bool is;

	buf_init(&b, TRANSCRIPT_MAX);
	is = base64_decode(encoded, &b) == 0 &&
	     str_eq(buf_str(&b), str_of(s->gs2));
	buf_clear(&b);
	return is;
}

/* The proof stands last; *without: what stands before it. */
static bool
split_proof(struct str in, struct str *without, struct str *proof)
{
	size_t at = in.len;

	while (at > 0 && in.p[at - 1] != ',')
		at--;
	*proof = str_skip(in, at);
	if (at == 0 || !str_starts_nocase(*proof, STR("p=")) ||
	    proof->p[0] != 'p')
		return false;
	*proof = str_skip(*proof, 2);
	*without = str_head(in, at - 1);
	return true;
}

static enum auth_turn
ask_proof(struct auth *a, struct str proof)
{
	struct ask_scram_proof m = { .table = auth_table(a),
		.user = str_of(a->user),
		.auth_message = buf_str(&a->scram->transcript),
		.proof = proof };
	uint64_t id = 0;
	int r = from_vault_scram_proof(&m, auth_answered, a, &id);

	return auth_asked(a, r, id);
}

static enum auth_turn
client_final(struct auth *a, struct str in)
{
	struct scram *s = a->scram;
	struct str without, encoded, left, binding, nonce;
	enum auth_turn turn;
	struct buf proof;

	if (!is_message(in) || !split_proof(in, &without, &encoded))
		return auth_fail(a, AUTH_MALFORMED);
	left = without;
	if (!take_attribute(&left, 'c', &binding) ||
	    !take_attribute(&left, 'r', &nonce))
		return auth_fail(a, AUTH_MALFORMED);
	if (!is_gs2(s, binding) || !str_eq(nonce, str_of(s->nonce)))
		return auth_fail(a, AUTH_WRONG);
	buf_add_str(&s->transcript, without);
	buf_init(&proof, PROOF_SIZE);
	if (base64_decode(encoded, &proof) < 0 || proof.len != PROOF_SIZE ||
	    s->transcript.failed)
		turn = auth_fail(a, AUTH_MALFORMED);
	else
		turn = ask_proof(a, buf_str(&proof));
	buf_clear(&proof);
	return turn;
}

static void
server_final(struct auth *a, const struct vault_answer *v)
{
	buf_add_str(&a->out, STR("v="));
	base64_encode(v->signature, &a->out);
}

/* Nothing is left to be said (RFC 4954 4). */
static enum auth_turn
client_done(struct auth *a, struct str in)
{
	return in.len == 0 ? AUTH_NEXT : auth_fail(a, AUTH_MALFORMED);
}

const struct auth_step auth_scram_steps[AUTH_SCRAM_STEPS] = {
	{ "", client_first, server_first, false },
	{ NULL, client_final, server_final, false },
	{ NULL, client_done, NULL, true },
};
