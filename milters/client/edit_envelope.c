/* Addresses from filters: none gets on unless a client could have given it. */
#include "milters/client/edit_envelope.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/utf8.h"
#include "lib/mail/path.h"
#include "milters/client/edits.h"
#include "milters/client/packet.h"

enum { ARGS_MAX = 1000 };

void
rcpt_edits_free(struct milter_rcpt_edit *rcpts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free((char *)(uintptr_t)rcpts[i].addr.p);
	free(rcpts);
}

void
edit_envelope_clear(struct edit_envelope *v)
{
	rcpt_edits_free(v->rcpts, v->nrcpts);
	free(v->from);
	free(v->from_args);
	memset(v, 0, sizeof(*v));
}

/* The one address in s as we keep it, brackets off; "" for <>. NULL when it is
 * none that could be mailed to. Owned by the caller. */
static char *
make_address(struct str s, bool utf8)
{
	unsigned int flags =
	    PATH_ALLOW_BARE | PATH_ALLOW_NULL | (utf8 ? PATH_ALLOW_UTF8 : 0U);
	struct path path;
	struct str rest;
	struct buf out;
	char *made = NULL;

	s = str_trim(s);
	if (s.len == 0)
		return xstrdup("");
	if (path_parse(s, flags, &path, &rest) != PATH_OK || rest.len > 0)
		return NULL;
	buf_init(&out, PATH_MAX_LEN);
	path_format(&path, &out);
	if (!out.failed)
		made = str_dup(buf_str(&out));
	buf_clear(&out);
	return made;
}

/* ESMTP parameters are text, as a client would have sent them. */
static bool
is_args(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return s.len <= ARGS_MAX && utf8_is_valid(s);
}

/* An address, and where they are allowed its parameters; nothing behind. */
static int
take_address(struct str in, bool has_args, struct str *addr, struct str *args)
{
	*args = STR("");
	if (packet_take_string(&in, addr) == -1)
		return -1;
	if (has_args && in.len > 0 && packet_take_string(&in, args) == -1)
		return -1;
	*args = str_trim(*args);
	return in.len == 0 && is_args(*args) ? 0 : -1;
}

/* Address and parameters share one piece of memory. */
static void
rcpt_put(struct edit_envelope *v, bool add, const char *addr, struct str args)
{
	size_t len = strlen(addr);
	char *text = xmalloc(len + args.len + 2);

	memcpy(text, addr, len + 1);
	if (args.len > 0)
		memcpy(text + len + 1, args.p, args.len);
	text[len + 1 + args.len] = '\0';
	if (v->nrcpts == v->rcpts_cap) {
		v->rcpts_cap = v->rcpts_cap == 0 ? 4 : 2 * v->rcpts_cap;
		v->rcpts =
		    xreallocarray(v->rcpts, v->rcpts_cap, sizeof(*v->rcpts));
	}
	v->rcpts[v->nrcpts++] = (struct milter_rcpt_edit){ .add = add,
		.addr = { text, len },
		.args = { text + len + 1, args.len } };
}

static int
bad(const char **fault, const char *text)
{
	*fault = text;
	return -1;
}

int
edit_envelope_add_rcpt(struct edit_envelope *v, struct str in, bool has_args,
    bool utf8, const char **fault)
{
	struct str addr, args;
	char *made;

	if (take_address(in, has_args, &addr, &args) == -1)
		return bad(fault, "malformed new recipient");
	if (v->nrcpts == EDITS_RCPTS_MAX)
		return bad(fault, "too many recipients");
	made = make_address(addr, utf8);
	if (made == NULL)
		return bad(fault, "new recipient is no address");
	if (made[0] != '\0')
		rcpt_put(v, true, made, args);
	free(made);
	return 0;
}

int
edit_envelope_del_rcpt(
    struct edit_envelope *v, struct str in, const char **fault)
{
	struct str addr, args;
	char *made;

	if (take_address(in, false, &addr, &args) == -1)
		return bad(fault, "malformed recipient to delete");
	if (v->nrcpts == EDITS_RCPTS_MAX)
		return bad(fault, "too many recipients");
	/* What is no address is nobody's. */
	made = make_address(addr, true);
	if (made != NULL && made[0] != '\0')
		rcpt_put(v, false, made, args);
	free(made);
	return 0;
}

int
edit_envelope_set_from(
    struct edit_envelope *v, struct str in, bool utf8, const char **fault)
{
	struct str addr, args;
	char *made;

	if (take_address(in, true, &addr, &args) == -1)
		return bad(fault, "malformed new sender");
	made = make_address(addr, utf8);
	if (made == NULL)
		return bad(fault, "new sender is no address");
	free(v->from);
	free(v->from_args);
	v->from = made;
	v->from_args = str_dup(args);
	return 0;
}
