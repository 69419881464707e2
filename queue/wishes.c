/*
 * The block: the length of the ENVID (u8) and it; for each recipient that has
 * an ORCPT its index (u32), the length (u16), and it; in order.
 */
#include "queue/wishes.h"

#include "lib/base/bytes.h"
#include "lib/mail/envelope.h"

enum { RCPT_FIXED = 6 };

_Static_assert(
    ENVELOPE_ENVID_MAX <= UINT8_MAX && ENVELOPE_ORCPT_MAX <= UINT16_MAX,
    "the lengths in a block");

static void
add_rcpt(struct buf *out, uint32_t index, struct str orcpt)
{
	uint8_t fixed[RCPT_FIXED];

	put_le32(fixed, index);
	put_le16(fixed + 4, (uint16_t)orcpt.len);
	buf_add(out, fixed, sizeof(fixed));
	buf_add_str(out, orcpt);
}

void
wishes_make(const struct mail_record *m, struct buf *out)
{
	struct str envid = str_head(m->envid, ENVELOPE_ENVID_MAX);

	buf_reset(out);
	buf_add_char(out, (char)envid.len);
	buf_add_str(out, envid);
	for (uint32_t i = 0; i < m->nrcpt; i++)
		if (m->rcpts[i].orcpt.len > 0)
			add_rcpt(out, i,
			    str_head(m->rcpts[i].orcpt, ENVELOPE_ORCPT_MAX));
	if (out->len == 1)
		buf_reset(out);
}

static size_t
first_rcpt(const struct wishes *w)
{
	return w->block.len == 0 ? 0 : 1 + (size_t)(uint8_t)w->block.p[0];
}

void
wishes_init(struct wishes *w, struct str block)
{
	w->block = block;
	w->at = first_rcpt(w);
}

struct str
wishes_envid(const struct wishes *w)
{
	return str_skip(str_head(w->block, first_rcpt(w)), 1);
}

/* Index and text of the recipient at w->at; what stands behind it, 0: none is
 * there. */
static size_t
look(const struct wishes *w, uint32_t *index, struct str *orcpt)
{
	struct str rest = str_skip(w->block, w->at);
	const uint8_t *p = (const uint8_t *)rest.p;

	if (rest.len < RCPT_FIXED)
		return 0;
	*index = get_le32(p);
	*orcpt = str_head(str_skip(rest, RCPT_FIXED), get_le16(p + 4));
	return w->at + RCPT_FIXED + orcpt->len;
}

struct str
wishes_orcpt(struct wishes *w, uint32_t index)
{
	struct str orcpt;
	uint32_t at;
	size_t next;

	/* One of those that were passed by? */
	if (look(w, &at, &orcpt) == 0 || at > index)
		w->at = first_rcpt(w);
	while ((next = look(w, &at, &orcpt)) != 0 && at < index)
		w->at = next;
	return next != 0 && at == index ? orcpt : STR("");
}
