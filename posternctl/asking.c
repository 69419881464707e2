/* posternctl's end of control_all. */
#include "posternctl/asking.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "posternctl/commands.h"
#include "posternctl/out.h"
#include "posternctl/text.h"

/* control gives up on a silent process after 40 s at most and says so. */
enum { SILENCE_MS = 45000 };

struct asking {
	struct loop *loop;
	struct channel *ch;
	struct timer *silence;
	const struct question *question;
	struct answer *answer;
	bool is_answered;
	const char *why; /* there is no answer */
};

static void
await(struct asking *a)
{
	unsigned int ms = a->question->silence_ms;

	timer_set(a->silence, ms > 0 ? ms : SILENCE_MS);
}

static void
on_row(struct asking *a, uint16_t type, const void *msg)
{
	await(a);
	if (a->question->on_row != NULL)
		a->question->on_row(a->question->ctx, type, msg);
	out_turn();
}

#define ROW_FUNCTION(row, direction, phases, once)                       \
	static void on_##row(                                            \
	    void *ctx, struct channel *ch, const void *msg, uint64_t id) \
	{                                                                \
		(void)ch;                                                \
		(void)id;                                                \
		on_row(ctx, TYPE_##row, msg);                            \
	}
CONTROL_ROWS(ROW_FUNCTION)

#define ROW_HANDLER(row, direction, phases, once) { TYPE_##row, on_##row },
static const struct handler handlers[] = { CONTROL_ROWS(ROW_HANDLER){
    0, NULL } };

static void
on_closed(void *ctx, struct channel *ch)
{
	struct asking *a = ctx;

	(void)ch;
	loop_stop(a->loop);
}

static void
on_silence(void *ctx)
{
	struct asking *a = ctx;

	a->why = "no answer in time";
	loop_stop(a->loop);
}

static void
on_answer(void *ctx, const struct fault *fault, uint16_t type, const void *msg)
{
	struct asking *a = ctx;

	loop_stop(a->loop);
	if (fault != NULL || type != TYPE_answer_done)
		return;
	const struct answer_done *m = msg;
	a->is_answered = true;
	a->answer->code = (enum answer_code)m->code;
	memcpy(a->answer->text, m->text.len > 0 ? m->text.p : "", m->text.len);
	a->answer->text[m->text.len] = '\0';
	a->answer->matched = m->matched;
	a->answer->changed = m->changed;
	a->answer->operation = m->operation;
}

int
asking_connect(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(un.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(un.sun_path, path, strlen(path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (connect(fd, (const struct sockaddr *)&un, sizeof(un)) == -1) {
		int error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

static void
send_question(struct asking *a)
{
	const struct question *q = a->question;

	for (size_t i = 0; q->filter != NULL && i < q->filter->n; i++)
		channel_tell(a->ch, TYPE_tell_term, &q->filter->terms[i], 0);
	for (struct str rest = q->mail; rest.len > 0;
	     rest = str_skip(rest, CHANNEL_CONTENT_MAX)) {
		struct tell_mail m = { .bytes = str_head(
					   rest, CHANNEL_CONTENT_MAX) };
		channel_tell(a->ch, TYPE_tell_mail, &m, 0);
	}
	channel_ask(a->ch, q->type, q->msg, on_answer, a);
}

int
asking_run(
    const char *path, const struct question *q, struct answer *out, bool quiet)
{
	struct asking a = { .question = q,
		.answer = out,
		.why = "the gateway closed the connection" };
	int fd = asking_connect(path);

	if (fd == -1) {
		int error = errno;
		if (!quiet)
			complain("%s: %s", path, strerror(error));
		return error == EACCES || error == EPERM ? CTL_REFUSED :
							   CTL_SILENT;
	}
	memset(out, 0, sizeof(*out));
	a.loop = loop_new();
	a.silence = timer_new(a.loop, on_silence, &a);
	await(&a);
	a.ch = channel_new(
	    a.loop, fd, &control_all_edge, EDGE_A, handlers, on_closed, &a);
	channel_set_peer(a.ch, "control");
	send_question(&a);
	loop_run(a.loop);
	channel_free(&a.ch);
	timer_free(&a.silence);
	loop_settle(a.loop);
	loop_free(&a.loop);
	if (a.is_answered)
		return CTL_DONE;
	if (!quiet)
		complain("%s: %s", path, a.why);
	return CTL_SILENT;
}

int
asking_exit(const struct answer *a)
{
	static const struct {
		int status;
		const char *text; /* when the gateway gives none */
	} meanings[] = {
		[ANSWER_OK] = { CTL_DONE, "" },
		[ANSWER_REFUSED_IT] = { CTL_REFUSED, "refused" },
		[ANSWER_NOT_FOUND] = { CTL_REFUSED, "no such message" },
		[ANSWER_UNAVAILABLE] = { CTL_SILENT,
		    "temporarily unavailable" },
	};

	if (a->code == ANSWER_OK)
		return CTL_DONE;
	struct buf text;
	buf_init(&text, 4096);
	text_add(&text,
	    str_of(a->text[0] == '\0' ? meanings[a->code].text : a->text));
	complain("%.*s", (int)text.len, text.p);
	buf_clear(&text);
	return meanings[a->code].status;
}
