#include "fetch/https.h"

/* For curl_multi_socket_all, see act. */
#define CURL_DISABLE_DEPRECATION
#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/log.h"

enum { AUTHORITIES_MAX = 16 << 20, READ_SIZE = 65536 };

/* A socket of a transfer, as libcurl wants it watched. */
struct watched {
	struct loop_fd *fd;
	curl_socket_t socket;
};

struct https_get {
	CURL *easy;
	struct curl_slist *resolved;
	struct buf body;
	size_t head_len;
	https_fn *fn;
	void *ctx;
	struct timer *refused; /* it never began: fn is called by this */
	const char *why;
};

static struct loop *loop;
static CURLM *multi;
static struct timer *timer;
static struct buf authorities;
static bool gave_up; /* a socket, in the call that runs */

/* --- the loop --- */

static void collect(void);

static void
act(curl_socket_t s, int what)
{
	int running = 0;

	gave_up = false;
	(void)curl_multi_socket_action(multi, s, what, &running);
	/* libcurl 7.88 goes on to the next address of a host only when it is
	 * called again, and with its socket it lost what would call it. */
	while (gave_up && running > 0) {
		gave_up = false;
		(void)curl_multi_socket_all(multi, &running);
	}
	collect();
}

static void
on_socket(void *ctx, int what)
{
	const struct watched *w = ctx;
	int mask = 0;

	if ((what & LOOP_READ) != 0)
		mask |= CURL_CSELECT_IN;
	if ((what & LOOP_WRITE) != 0)
		mask |= CURL_CSELECT_OUT;
	act(w->socket, mask);
}

static int
want_socket(
    CURL *easy, curl_socket_t s, int what, void *unused, void *socket_ctx)
{
	static const int wants[] = { [CURL_POLL_NONE] = 0,
		[CURL_POLL_IN] = LOOP_READ,
		[CURL_POLL_OUT] = LOOP_WRITE,
		[CURL_POLL_INOUT] = LOOP_READ | LOOP_WRITE };
	struct watched *w = socket_ctx;

	(void)easy;
	(void)unused;
	if (what == CURL_POLL_REMOVE) {
		if (w != NULL)
			loop_fd_free(&w->fd);
		free(w);
		return 0;
	}
	if (w == NULL) {
		w = xcalloc(1, sizeof(*w));
		w->socket = s;
		w->fd = loop_fd_new(loop, s, on_socket, w);
		curl_multi_assign(multi, s, w);
	}
	loop_fd_want(w->fd, wants[what]);
	return 0;
}

static void
on_timer(void *unused)
{
	(void)unused;
	act(CURL_SOCKET_TIMEOUT, 0);
}

static int
want_timer(CURLM *unused_multi, long ms, void *unused)
{
	(void)unused_multi;
	(void)unused;
	if (ms < 0)
		timer_stop(timer);
	else
		timer_set(timer, (uint64_t)ms);
	return 0;
}

void
https_init(struct loop *l)
{
	loop = l;
	timer = timer_new(l, on_timer, NULL);
	buf_init(&authorities, AUTHORITIES_MAX);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
	    (multi = curl_multi_init()) == NULL)
		fatal("libcurl does not start");
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, want_socket);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, want_timer);
	curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
}

/* --- whom to believe --- */

/* From its beginning, wherever others who have the file open have come. */
void
https_set_authorities(int fd)
{
	ssize_t n = 0;
	char *room;

	buf_reset(&authorities);
	while ((room = buf_reserve(&authorities, READ_SIZE)) != NULL &&
	       (n = pread(fd, room, READ_SIZE, (off_t)authorities.len)) > 0)
		buf_commit(&authorities, (size_t)n);
	if (room == NULL || n == -1) {
		log_warn(NULL, "authorities", "why=%s",
		    log_cstr("they cannot be read: no policy is fetched"));
		buf_reset(&authorities);
	}
	close(fd);
}

/* --- a transfer --- */

/* The addresses are known: whatever would be looked up is a mistake. */
static int
refuse_lookup(void *state, void *reserved, void *unused)
{
	(void)state;
	(void)reserved;
	(void)unused;
	return 1;
}

/* Those too that were never watched: no connection even began. */
static int
close_socket(void *unused, curl_socket_t s)
{
	(void)unused;
	gave_up = true;
	return close(s);
}

static size_t
take_body(char *p, size_t size, size_t n, void *ctx)
{
	struct https_get *g = ctx;

	buf_add(&g->body, p, size * n);
	return g->body.failed ? 0 : size * n;
}

/* Of all heads there are, of provisional answers and trailers too. */
static size_t
take_head(char *p, size_t size, size_t n, void *ctx)
{
	struct https_get *g = ctx;

	(void)p;
	g->head_len += size * n;
	return g->head_len > HTTPS_HEAD_MAX ? 0 : size * n;
}

static const struct {
	CURLoption option;
	long value;
} numbers[] = {
	{ CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1 },
	{ CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2 },
	{ CURLOPT_SSL_VERIFYPEER, 1 },
	{ CURLOPT_SSL_VERIFYHOST, 2 },
	{ CURLOPT_SSL_SESSIONID_CACHE, 0 },
	{ CURLOPT_FOLLOWLOCATION, 0 },
	{ CURLOPT_NETRC, CURL_NETRC_IGNORED },
	{ CURLOPT_NOSIGNAL, 1 },
	{ CURLOPT_FORBID_REUSE, 1 },
	{ CURLOPT_TCP_KEEPALIVE, 0 },
};

static const struct {
	CURLoption option;
	const char *value;
} texts[] = {
	{ CURLOPT_PROTOCOLS_STR, "https" },
	{ CURLOPT_PROXY, "" },
	{ CURLOPT_NOPROXY, "*" },
	{ CURLOPT_CAPATH, NULL },
	{ CURLOPT_CAINFO, NULL },
	{ CURLOPT_USERAGENT, "postern" },
};

/* An option that is not taken leaves the transfer without it: then there is
 * none. */
static bool
set_fixed(CURL *easy)
{
	CURLcode rc = CURLE_OK;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (rc == CURLE_OK)
			rc = curl_easy_setopt(
			    easy, numbers[i].option, numbers[i].value);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (rc == CURLE_OK)
			rc = curl_easy_setopt(
			    easy, texts[i].option, texts[i].value);
	if (rc == CURLE_OK)
		rc = curl_easy_setopt(
		    easy, CURLOPT_RESOLVER_START_FUNCTION, refuse_lookup);
	if (rc == CURLE_OK)
		rc = curl_easy_setopt(
		    easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
	if (rc == CURLE_OK)
		rc = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	if (rc == CURLE_OK)
		rc = curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_head);
	return rc == CURLE_OK;
}

/* url and resolve are made for this transfer. */
static bool
set_own(struct https_get *g, const char *url, const char *resolve,
    uint64_t timeout_ms)
{
	struct curl_blob blob = { authorities.p, authorities.len,
		CURL_BLOB_COPY };
	CURL *easy = g->easy;

	g->resolved = curl_slist_append(NULL, resolve);
	return g->resolved != NULL &&
	       curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_RESOLVE, g->resolved) ==
		   CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms) ==
		   CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_WRITEDATA, g) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_HEADERDATA, g) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_PRIVATE, g) == CURLE_OK;
}

static void
let_go(struct https_get *g)
{
	if (g->easy != NULL) {
		(void)curl_multi_remove_handle(multi, g->easy);
		curl_easy_cleanup(g->easy);
	}
	curl_slist_free_all(g->resolved);
	timer_free(&g->refused);
	buf_clear(&g->body);
	free(g);
}

static void
end(struct https_get *g, const struct https_answer *a)
{
	g->fn(g->ctx, a);
	let_go(g);
}

static void
on_refused(void *ctx)
{
	struct https_get *g = ctx;
	struct https_answer a = { .result = HTTPS_FAILED, .why = g->why };

	end(g, &a);
}

/* The answer to what cannot even begin. */
static void
refuse(struct https_get *g, const char *why)
{
	g->why = why;
	g->refused = timer_new(loop, on_refused, g);
	timer_set(g->refused, 0);
}

/* The `+' lets libcurl forget the addresses after a while. */
static bool
begin(struct https_get *g, struct str host, const char *path, struct str addrs,
    uint64_t timeout_ms)
{
	struct buf url, resolve;
	bool ok;

	buf_init(&url, 1024);
	buf_init(&resolve, 2048);
	buf_addf(&url, "https://%.*s%s%c", (int)host.len, host.p, path, '\0');
	buf_addf(&resolve, "+%.*s:%d:%.*s%c", (int)host.len, host.p, HTTPS_PORT,
	    (int)addrs.len, addrs.p, '\0');
	ok = !url.failed && !resolve.failed && set_fixed(g->easy) &&
	     set_own(g, url.p, resolve.p, timeout_ms) &&
	     curl_multi_add_handle(multi, g->easy) == CURLM_OK;
	buf_clear(&url);
	buf_clear(&resolve);
	return ok;
}

struct https_get *
https_get(struct str host, const char *path, struct str addrs,
    uint64_t timeout_ms, https_fn *fn, void *ctx)
{
	struct https_get *g = xcalloc(1, sizeof(*g));

	buf_init(&g->body, HTTPS_BODY_MAX);
	g->fn = fn;
	g->ctx = ctx;
	if (authorities.len == 0) {
		refuse(g, "no authorities are trusted");
		return g;
	}
	g->easy = curl_easy_init();
	if (g->easy == NULL || !begin(g, host, path, addrs, timeout_ms))
		refuse(g, "libcurl does not take it");
	return g;
}

void
https_cancel(struct https_get **gp)
{
	struct https_get *g = *gp;

	*gp = NULL;
	if (g != NULL)
		let_go(g);
}

/* --- its end --- */

/* Of the type itself; parameters may follow. */
static bool
is_plain(const char *type)
{
	struct str rest = str_of(type);

	return str_eq_nocase(str_trim(str_cut(&rest, ';')), STR("text/plain"));
}

/* Not by the end of the connection, which anybody between can bring about:
 * libcurl does not mind whether TLS was ended first. */
static bool
has_end(const struct https_get *g)
{
	struct curl_header *h;
	curl_off_t len = -1;

	(void)curl_easy_getinfo(
	    g->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &len);
	return len >= 0 || (curl_easy_header(g->easy, "Transfer-Encoding", 0,
				CURLH_HEADER, -1, &h) == CURLHE_OK &&
			       str_eq_nocase(str_of(h->value), STR("chunked")));
}

static const char *
bad_page(const struct https_get *g)
{
	long status = 0;
	const char *type = NULL;

	(void)curl_easy_getinfo(g->easy, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_easy_getinfo(g->easy, CURLINFO_CONTENT_TYPE, &type);
	if (status >= 300 && status < 400)
		return "a redirect, which is not followed";
	if (status != 200)
		return "the status is not 200";
	if (!is_plain(type))
		return "it is not text/plain";
	return has_end(g) ? NULL : "it does not say where it ends";
}

static void
finish(struct https_get *g, CURLcode rc)
{
	struct https_answer a = { .result = HTTPS_FAILED };

	if (g->head_len > HTTPS_HEAD_MAX)
		a.why = "its head does not end";
	else if (g->body.failed)
		a.why = "more than 64 KiB";
	else if (rc != CURLE_OK)
		a.why = curl_easy_strerror(rc);
	else
		a.why = bad_page(g);
	if (rc == CURLE_PEER_FAILED_VERIFICATION ||
	    rc == CURLE_SSL_ISSUER_ERROR)
		a.result = HTTPS_UNTRUSTED;
	if (a.why == NULL) {
		a.result = HTTPS_OK;
		a.body = buf_str(&g->body);
	}
	end(g, &a);
}

static void
collect(void)
{
	const CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(multi, &left)) != NULL) {
		CURL *easy = m->easy_handle;
		CURLcode rc = m->data.result;
		char *ctx = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		(void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &ctx);
		finish((struct https_get *)(void *)ctx, rc);
	}
}
