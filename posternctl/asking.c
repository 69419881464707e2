/* posternctl's end of control_all. */
#include "posternctl/asking.h"

#include <errno.h>
#include <string.h>

#include "posternctl/commands.h"
#include "posternctl/out.h"
#include "posternctl/text.h"
#include "submit/connecting.h"

/* control gives up on a silent process after 40 s at most and says so. */
enum { SILENCE_MS = 45000 };

struct asking {
	struct loop *loop;
	struct channel *ch;
	struct timer *silence;
	const struct question *question;
	struct answer *answer;
	bool is_answered, has_no_reader;
	const char *why; /* there is no answer */
};

static void
await(struct asking *a)
{
	unsigned int ms = a->question->silence_ms;

	if (ms != ASKING_FOR_EVER)
		timer_set(a->silence, ms > 0 ? ms : SILENCE_MS);
}

static void
on_row(struct asking *a, uint16_t type, const void *msg)
{
	await(a);
	if (a->question->on_row != NULL)
		a->question->on_row(a->question->ctx, type, msg);
	/* Nobody reads any more: out_end says why. */
	if (out_turn() == -1) {
		a->has_no_reader = true;
		loop_stop(a->loop);
	}
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

	/* Both sides are the same program but for their age. */
	if (channel_breach(ch) != NULL)
		a->why = "the gateway that runs is of another version: "
			 "restart it (SIGUSR2), or use its posternctl";
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

static bool
is_forbidden(int error)
{
	return error == EACCES || error == EPERM;
}

/* What to do about a socket that does not take us. */
static const char *
hint(int error)
{
	if (is_forbidden(error))
		return " (`control' in postern.conf names the groups that may)";
	if (error == ENOENT || error == ECONNREFUSED)
		return " (is posternd running? -s names another socket)";
	return "";
}

int
asking_run(
    const char *path, const struct question *q, struct answer *out, bool quiet)
{
	struct asking a = { .question = q,
		.answer = out,
		.why = "the gateway closed the connection" };
	int fd = connect_to(path);

	if (fd == -1) {
		int error = errno;
		if (!quiet)
			complain(
			    "%s: %s%s", path, strerror(error), hint(error));
		return is_forbidden(error) ? CTL_REFUSED : CTL_SILENT;
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
	if (a.has_no_reader)
		return CTL_REFUSED;
	if (!quiet)
		complain("%s: %s", path, a.why);
	return CTL_SILENT;
}

int
asking_exit(const struct answer *a)
{
	return asking_exit_of(a, STR(""));
}

int
asking_exit_of(const struct answer *a, struct str what)
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
	if (a->code == ANSWER_NOT_FOUND && what.len > 0) {
		buf_add_str(&text, STR(": "));
		text_add(&text, what);
	}
	complain("%.*s", (int)text.len, text.p);
	buf_clear(&text);
	return meanings[a->code].status;
}
