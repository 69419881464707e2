/* Options: a table of letters, what follows each, and what it does. */
#include "sendmail/options.h"

#include <string.h>
#include <unistd.h>

#include "lib/mail/envelope.h"
#include "sendmail/complaint.h"

enum { NOTIFY_MAX = 64 };

typedef int take_fn(struct options *o, char *value);

static int
take_from(struct options *o, char *value)
{
	o->from = value;
	return 0;
}

static int
take_name(struct options *o, char *value)
{
	o->name = value;
	return 0;
}

static int
take_header(struct options *o, char *value)
{
	(void)value;
	o->take_header = true;
	return 0;
}

static int
take_dots(struct options *o, char *value)
{
	(void)value;
	o->dots = true;
	return 0;
}

static int
take_verbose(struct options *o, char *value)
{
	(void)value;
	o->verbose = true;
	return 0;
}

static int
take_aliases(struct options *o, char *value)
{
	(void)value;
	o->mode = MODE_ALIASES;
	return 0;
}

/* -oi; of all others of that kind none means anything here. */
static int
take_old(struct options *o, char *value)
{
	if (value[0] == 'i')
		o->dots = true;
	return 0;
}

static int
take_mode(struct options *o, char *value)
{
	static const struct {
		char letter;
		enum mode mode;
	} modes[] = {
		{ 'm', MODE_MAIL },
		{ 's', MODE_SMTP },
		{ 'p', MODE_LIST },
		{ 'i', MODE_ALIASES },
		{ 'V', MODE_VERSION },
		{ 'a', MODE_NONE },
		{ 'd', MODE_NONE },
		{ 'D', MODE_NONE },
		{ 'h', MODE_NONE },
		{ 'H', MODE_NONE },
		{ 't', MODE_NONE },
		{ 'v', MODE_NONE },
	};

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (value[0] == modes[i].letter) {
			o->mode = modes[i].mode;
			if (o->mode != MODE_NONE)
				return 0;
			complain("-b%c: the gateway is posternd(8), and "
				 "posternctl(8) asks it",
			    value[0]);
			return -1;
		}
	complain("no such mode: -b%s", value);
	return -1;
}

/* -q: all; -qIID: this one; -qRdomain: what goes there. With a time or
 * anything else it was for a daemon, which posternd is without it. */
static int
take_queue(struct options *o, char *value)
{
	static char all[] = "all", domain[] = "domain";

	if (value == NULL || value[0] == '\0') {
		o->mode = MODE_FLUSH;
		o->flush[0] = all;
	} else if (value[0] == 'I' && value[1] != '\0') {
		o->mode = MODE_FLUSH;
		o->flush[0] = value + 1;
	} else if (value[0] == 'R' && value[1] != '\0') {
		o->mode = MODE_FLUSH;
		o->flush[0] = domain;
		/* "@example.com" is what sendmail's users write, too. */
		o->flush[1] = value + 1 + (value[1] == '@');
	}
	return 0;
}

/* --- what the sender wants to hear (RFC 3461) --- */

static int
take_ret(struct options *o, char *value)
{
	struct str s = str_of(value);

	if (str_eq_nocase(s, STR("full")))
		o->ret = "FULL";
	else if (str_eq_nocase(s, STR("hdrs")))
		o->ret = "HDRS";
	else {
		complain("-R full or -R hdrs, not %s", value);
		return -1;
	}
	return 0;
}

static int
take_envid(struct options *o, char *value)
{
	struct str s = str_of(value);

	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < ' ' || s.p[i] > '~') {
			complain("an envelope id is printable ASCII");
			return -1;
		}
	if (s.len == 0 || s.len > ENVELOPE_ENVID_MAX) {
		complain("an envelope id has 1 to %d characters",
		    ENVELOPE_ENVID_MAX);
		return -1;
	}
	o->envid = value;
	return 0;
}

static int
take_notify(struct options *o, char *value)
{
	static const char *const words[] = { "NEVER", "SUCCESS", "FAILURE",
		"DELAY" };
	const size_t nwords = sizeof(words) / sizeof(words[0]);
	struct str rest = str_of(value);
	unsigned int seen = 0;

	buf_reset(&o->notify);
	do {
		struct str word = str_trim(str_cut(&rest, ','));
		size_t i = 0;
		while (i < nwords && !str_eq_nocase(word, str_of(words[i])))
			i++;
		if (i == nwords || (seen & 1U << i) != 0 ||
		    (seen != 0 && (i == 0 || seen == 1))) {
			complain("-N never, or any of success, failure and "
				 "delay, not %s",
			    value);
			return -1;
		}
		buf_addf(&o->notify, "%s%s", seen == 0 ? "" : ",", words[i]);
		seen |= 1U << i;
	} while (rest.len > 0);
	return 0;
}

/* --- the table --- */

static const struct {
	char letter;
	char follows;  /* as getopt has it: 0 nothing, ':' a value, '?' one in
			* the same word or none */
	take_fn *take; /* NULL: means nothing here */
} table[] = {
	{ 'A', ':', NULL },        /* which configuration */
	{ 'B', ':', NULL },        /* 7BIT, 8BITMIME: the mail tells */
	{ 'C', ':', NULL },        /* configuration */
	{ 'D', ':', NULL },        /* where debugging goes */
	{ 'F', ':', take_name },   /* full name */
	{ 'G', 0, NULL },          /* relayed */
	{ 'I', 0, take_aliases },  /* */
	{ 'L', ':', NULL },        /* name in the log */
	{ 'N', ':', take_notify }, /* */
	{ 'O', ':', NULL },        /* name=value of sendmail.cf */
	{ 'R', ':', take_ret },    /* */
	{ 'U', 0, NULL },          /* first submission */
	{ 'V', ':', take_envid },  /* */
	{ 'X', ':', NULL },        /* traffic log */
	{ 'b', ':', take_mode },   /* */
	{ 'c', 0, NULL },          /* no expensive way */
	{ 'd', '?', NULL },        /* debugging */
	{ 'e', ':', NULL },        /* how errors are told: always on stderr */
	{ 'f', ':', take_from },   /* */
	{ 'h', ':', NULL },        /* hops so far: the header has them */
	{ 'i', 0, take_dots },     /* */
	{ 'm', 0, NULL },          /* to me too: always */
	{ 'n', 0, NULL },          /* no aliases: there are none */
	{ 'o', ':', take_old },    /* */
	{ 'p', ':', NULL },        /* came by that protocol */
	{ 'q', '?', take_queue },  /* */
	{ 'r', ':', take_from },   /* */
	{ 's', 0, NULL },          /* keep From lines of mailboxes */
	{ 't', 0, take_header },   /* */
	{ 'v', 0, take_verbose },  /* */
	{ 'x', 0, NULL },          /* */
};

enum { NOPTIONS = sizeof(table) / sizeof(table[0]) };

/* For getopt: in their order, as everywhere but with GNU. */
static void
write_letters(char out[static 3 * NOPTIONS + 3])
{
	*out++ = '+';
	for (size_t i = 0; i < NOPTIONS; i++) {
		*out++ = table[i].letter;
		if (table[i].follows != 0)
			*out++ = ':';
		if (table[i].follows == '?')
			*out++ = ':';
	}
	*out = '\0';
}

static int
take(struct options *o, int letter, char *value)
{
	for (size_t i = 0; i < NOPTIONS; i++)
		if (table[i].letter == letter)
			return table[i].take == NULL ? 0 :
						       table[i].take(o, value);
	return -1; /* getopt has said so */
}

/* "sendmail", "mailq" and "newaliases" are one program. */
static enum mode
mode_by_name(const char *argv0)
{
	const char *slash = strrchr(argv0, '/');
	const char *name = slash == NULL ? argv0 : slash + 1;

	if (strcmp(name, "mailq") == 0)
		return MODE_LIST;
	return strcmp(name, "newaliases") == 0 ? MODE_ALIASES : MODE_MAIL;
}

int
options_parse(struct options *o, int argc, char **argv)
{
	char letters[3 * NOPTIONS + 3];
	int letter;

	memset(o, 0, sizeof(*o));
	buf_init(&o->notify, NOTIFY_MAX);
	o->mode = mode_by_name(argv[0]);
	write_letters(letters);
	while ((letter = getopt(argc, argv, letters)) != -1)
		if (take(o, letter, optarg) == -1)
			return -1;
	o->to = argv + optind;
	/* "-q" beside recipients is about how they are sent. */
	if (o->mode == MODE_FLUSH && (o->to[0] != NULL || o->take_header))
		o->mode = MODE_MAIL;
	return 0;
}

void
options_clear(struct options *o)
{
	buf_clear(&o->notify);
}
