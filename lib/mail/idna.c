/* The one place that knows libidn2. It reads no file and no locale. */
#include "lib/mail/idna.h"

#include <idn2.h>
#include <string.h>

static bool
is_ascii(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] & 0x80)
			return false;
	return true;
}

static void
add_lower(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		buf_add_char(out, chr_lower(s.p[i]));
}

int
idna_to_ascii(struct str domain, struct buf *out)
{
	char text[PATH_DOMAIN_MAX + 1];
	uint8_t *ascii;
	struct str name;
	bool good;

	if (is_ascii(domain)) {
		add_lower(out, domain);
		return 0;
	}
	if (domain.len >= sizeof(text) ||
	    memchr(domain.p, '\0', domain.len) != NULL)
		return -1;
	memcpy(text, domain.p, domain.len);
	text[domain.len] = '\0';
	if (idn2_lookup_u8((const uint8_t *)text, &ascii,
		IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
		return -1;
	/* The mapping can make characters that no host name has. */
	name = str_of((const char *)ascii);
	good = path_is_domain(name, false);
	if (good)
		add_lower(out, name);
	idn2_free(ascii);
	return good ? 0 : -1;
}

int
idna_path(struct path *p, struct buf *room)
{
	if (p->is_literal || is_ascii(p->domain))
		return 0;
	if (idna_to_ascii(p->domain, room) != 0)
		return -1;
	p->domain = buf_str(room);
	return 0;
}
