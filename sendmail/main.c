/*
 * postern-sendmail: takes a mail as sendmail(8) does, and hands it in.
 *
 * What cron, scripts and mail programs call. It speaks SMTP to the submit
 * socket, where the gateway learns from the kernel who calls; it keeps nothing
 * and has no rights of its own, nor those of another user.
 * Trusts: the gateway. Trusted by: nobody.
 * Edges: none (submit/ asks control where the socket is).
 * Read next: options.c, letter.c, address_list.c, submit/hand_in.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "sendmail/complaint.h"
#include "sendmail/letter.h"
#include "sendmail/options.h"
#include "sendmail/person.h"
#include "sendmail/pump.h"
#include "sendmail/reading.h"
#include "submit/connecting.h"

enum { MAIL_MAX_GIB = 4, SMALL = 8192 };

/* --- the envelope --- */

struct taking {
	struct submission *m;
	const char *from; /* which list it is */
};

static int
take_to(void *ctx, struct str address, const char *end)
{
	struct taking *t = ctx;

	(void)end;
	if (submission_add_to(t->m, address) == 0)
		return 0;
	complain("%s: not an address: %.*s", t->from, (int)address.len,
	    address.len > 0 ? address.p : "");
	return -1;
}

static int
take_from(void *ctx, struct str address, const char *end)
{
	struct taking *t = ctx;

	(void)end;
	return submission_set_from(t->m, address);
}

static int
set_from(struct submission *m, const char *given)
{
	struct taking t = { m, "sender" };
	struct buf login;

	if (given != NULL) {
		submission_set_from(m, STR(""));
		if (address_list(str_of(given), take_from, &t) == NULL)
			return EX_OK;
		complain("not an address: %s", given);
		return EX_USAGE;
	}
	buf_init(&login, SMALL);
	person_login(&login);
	submission_set_from(m, buf_str(&login));
	buf_clear(&login);
	return EX_OK;
}

/* Of the command line and, with -t, of the header. Returns an exit status. */
static int
set_to(struct submission *m, const struct options *o, const struct letter *l)
{
	struct taking t = { m, "recipient" };
	struct str name = STR("");
	const char *why;

	for (char **to = o->to; *to != NULL; to++) {
		why = address_list(str_of(*to), take_to, &t);
		if (why != NULL && why[0] != '\0')
			complain("%s: %s", *to, why);
		if (why != NULL)
			return EX_DATAERR;
	}
	if (o->take_header) {
		t.from = "header";
		why = letter_recipients(l, take_to, &t, &name);
		if (why != NULL && why[0] != '\0')
			complain("%.*s: %s", (int)name.len, name.p, why);
		if (why != NULL)
			return EX_DATAERR;
	}
	if (m->nto > 0)
		return EX_OK;
	complain("no recipients%s",
	    o->take_header ? " on the command line or in the header" : "");
	return EX_USAGE;
}

/* --- the conversation --- */

static int
connect_submit(void)
{
	const char *control = secure_getenv("POSTERN_SOCKET");
	struct buf path;

	if (control == NULL || control[0] == '\0')
		control = CONNECT_CONTROL;
	buf_init(&path, SMALL);
	connect_find(control, &path);
	int fd = connect_to(path.p);
	if (fd == -1)
		complain("%s: %s", path.p, strerror(errno));
	buf_clear(&path);
	return fd;
}

/* Without its brackets, with a domain. */
static void
add_full(struct buf *out, const struct submission *m, struct str domain)
{
	struct str s = buf_str(&m->from);
	struct str rest;
	struct path p;

	buf_add_str(out, str_head(str_skip(s, 1), s.len - 2));
	if (path_parse(s, PATH_ALLOW_NULL | PATH_ALLOW_LOCAL | PATH_ALLOW_UTF8,
		&p, &rest) == PATH_OK &&
	    p.local.len > 0 && p.domain.len == 0) {
		buf_add_char(out, '@');
		buf_add_str(out, domain);
	}
}

static void
compose(const struct handing *h, const struct submission *m,
    const struct options *o, const struct letter *l, struct buf *header)
{
	struct buf name, address;
	struct str domain = str_of(h->smtp.domain);

	/* None that people use, and nobody's. */
	if (domain.len == 0)
		domain = STR("localhost.invalid");
	buf_init(&name, SMALL);
	buf_init(&address, SMALL);
	person_name(o->name, &name);
	add_full(&address, m, domain);
	struct writer w = { buf_str(&name), buf_str(&address), domain };
	letter_compose(l, &w, header);
	buf_clear(&name);
	buf_clear(&address);
}

static int
converse(struct submission *m, const struct options *o, const struct letter *l)
{
	struct handing h;
	struct buf header;
	int fd = connect_submit(), status = EX_OK;

	if (fd == -1)
		return EX_TEMPFAIL;
	buf_init(&header, SIZE_MAX / 2);
	if (hand_in_open(&h, fd) == 0) {
		compose(&h, m, o, l, &header);
		m->pieces[0] = buf_str(&header);
		m->pieces[1] = l->body;
		if (hand_in(&h, m, true) == -1)
			status = complain_refused(&h);
		else if (o->verbose)
			printf("%u %.*s\n", h.smtp.reply.code,
			    (int)h.smtp.reply.text_len, h.smtp.reply.text);
	} else
		status = complain_refused(&h);
	hand_in_close(&h);
	buf_clear(&header);
	return status;
}

static int
send_mail(const struct options *o)
{
	struct submission m;
	struct reading reading;
	struct buf content;
	struct letter l;
	int status;

	submission_init(&m);
	m.ret = o->ret;
	m.notify = buf_str(&o->notify);
	m.envid = str_of(o->envid);
	buf_init(&content, (size_t)MAIL_MAX_GIB << 30);
	reading_init(&reading, &content, !o->dots);
	status = set_from(&m, o->from);
	if (status == EX_OK && reading_run(&reading, STDIN_FILENO) == -1) {
		status = errno == EFBIG ? EX_DATAERR : EX_IOERR;
		complain("standard input: %s", strerror(errno));
	}
	letter_init(&l, buf_str(&content));
	if (status == EX_OK)
		status = set_to(&m, o, &l);
	if (status == EX_OK)
		status = converse(&m, o, &l);
	letter_clear(&l);
	buf_clear(&content);
	submission_clear(&m);
	return status;
}

/* --- what else it is called for --- */

static int
speak_smtp(void)
{
	int fd = connect_submit();

	if (fd == -1) {
		printf("421 4.3.2 The gateway is not there\r\n");
		return EX_TEMPFAIL;
	}
	if (pump_run(fd) == 0)
		return EX_OK;
	complain("%s", strerror(errno));
	return EX_IOERR;
}

/* posternctl, which stands beside this program, or is on the path. */
static int
ask_posternctl(char **words)
{
	static char name[] = "posternctl";
	char path[4096], *argv[6] = { name };
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 16);

	signal(SIGPIPE, SIG_DFL);
	for (size_t i = 0; i < 4 && words[i] != NULL; i++)
		argv[i + 1] = words[i];
	if (n > 0) {
		path[n] = '\0';
		char *slash = strrchr(path, '/');
		memcpy(slash == NULL ? path : slash + 1, name, sizeof(name));
		execv(path, argv);
	}
	execvp(name, argv);
	complain("%s: %s", name, strerror(errno));
	return EX_UNAVAILABLE;
}

static int
run(struct options *o)
{
	static char show[] = "show", queue[] = "queue", flush[] = "flush";
	char *list[] = { show, queue, NULL };
	char *again[] = { flush, o->flush[0], o->flush[1], NULL };

	switch (o->mode) {
	case MODE_MAIL:
		return send_mail(o);
	case MODE_SMTP:
		return speak_smtp();
	case MODE_LIST:
		return ask_posternctl(list);
	case MODE_FLUSH:
		return ask_posternctl(again);
	case MODE_VERSION:
		printf("postern %s\n", POSTERN_VERSION);
		break;
	case MODE_ALIASES:
	case MODE_NONE:
		break;
	}
	return EX_OK;
}

/* A program may be started without these; no socket may take their place. */
static void
open_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

/* Setuid, or started by a program that is: who calls is who started that. */
static int
give_up_rights(void)
{
	uid_t uid = getuid();
	gid_t gid = getgid();

	return setresgid(gid, gid, gid) == -1 ? -1 : setresuid(uid, uid, uid);
}

int
main(int argc, char **argv)
{
	struct options o;
	int status = EX_USAGE;

	open_standard();
	signal(SIGPIPE, SIG_IGN);
	if (argc < 1)
		return EX_USAGE;
	if (give_up_rights() == -1) {
		complain("rights of another user: %s", strerror(errno));
		return EX_NOPERM;
	}
	if (options_parse(&o, argc, argv) == 0)
		status = run(&o);
	options_clear(&o);
	/* A mail that is in is in, whoever reads of it. */
	if (fflush(stdout) == EOF && status == EX_OK && o.mode != MODE_MAIL)
		status = EX_IOERR;
	return status;
}
