/*
 * What a report about TLS says: tests/golden/tls-report/NAME.in has what was
 * counted, as it stands in the spool; NAME.out is the mail, with the JSON in
 * the place of its base64. With -u the .out files are written anew. And to
 * whom it goes.
 */
#include <check.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "lib/mail/base64.h"
#include "queue/report_mime.h"
#include "queue/tls_report_text.h"
#include "tests/unit/queue/running.h"

enum { MAX = 1 << 20, NOW_S = 1795500000 };

static bool update;
static char organization[] = "Example \"Org\"",
	    contact[] = "postmaster@gw.example", from[] = "noreply@gw.example";
static const struct tls_reports by = {
	.organization = organization, .contact = contact, .from = from
};

static struct buf
read_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct buf b;

	buf_init(&b, MAX);
	if (f == NULL)
		return b;
	buf_commit(&b, fread(buf_reserve(&b, MAX), 1, MAX, f));
	fclose(f);
	return b;
}

static void
write_file(const char *path, struct str s)
{
	FILE *f = fopen(path, "wb");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(s.p, 1, s.len, f), s.len);
	ck_assert_int_eq(fclose(f), 0);
}

static void
inflate_into(struct str in, struct buf *out)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)in.p,
		.avail_in = (uInt)in.len };

	ck_assert_int_eq(inflateInit2(&z, 15 + 16), Z_OK);
	z.next_out = (Bytef *)buf_reserve(out, MAX / 2);
	z.avail_out = MAX / 2;
	ck_assert_int_eq(inflate(&z, Z_FINISH), Z_STREAM_END);
	buf_commit(out, MAX / 2 - z.avail_out);
	ck_assert_uint_eq(z.avail_in, 0);
	inflateEnd(&z);
}

/* The lines of base64, which end with an empty one, are taken for what they
 * mean. */
static void
open_attachment(struct str mail, struct buf *out)
{
	const char *mark = ".json.gz\"\r\n\r\n";
	struct buf base64, gzip;
	const char *begin = memmem(mail.p, mail.len, mark, strlen(mark));

	ck_assert_ptr_nonnull(begin);
	begin += strlen(mark);
	buf_init(&base64, MAX);
	buf_init(&gzip, MAX);
	buf_add(out, mail.p, (size_t)(begin - mail.p));
	struct str rest = str_skip(mail, (size_t)(begin - mail.p));
	for (;;) {
		struct str line = str_cut(&rest, '\n');

		ck_assert_uint_le(line.len, 77);
		ck_assert_int_eq(line.p[line.len - 1], '\r');
		if (line.len == 1)
			break;
		buf_add_str(&base64, str_head(line, line.len - 1));
	}
	ck_assert_int_eq(base64_decode(buf_str(&base64), &gzip), 0);
	inflate_into(buf_str(&gzip), out);
	buf_add_str(out, rest);
	buf_clear(&base64);
	buf_clear(&gzip);
}

static void
check_golden(const char *path)
{
	struct buf in = read_file(path), mail, out, want;
	struct tallies all;
	char result[256];
	uint32_t header_size;

	snprintf(
	    result, sizeof(result), "%.*sout", (int)strlen(path) - 2, path);
	tallies_init(&all);
	ck_assert_int_eq(tallies_parse(&all, buf_str(&in)), 0);
	struct tls_report r = { .tally = tallies_next(&all, NULL),
		.by = &by,
		.id = STR("0abcdefghijklmno"),
		.hostname = STR("mail.gw.example"),
		.to = STR("reports@far.example"),
		.now_ms = (uint64_t)NOW_S * 1000 };
	buf_init(&mail, TLS_REPORT_MAX);
	buf_init(&out, MAX);
	ck_assert_int_eq(tls_report_build(&r, &mail, &header_size), 0);
	ck_assert(mime_is_plain(buf_str(&mail), false));
	ck_assert(strncmp(mail.p + header_size - 4, "\r\n\r\n", 4) == 0);
	open_attachment(buf_str(&mail), &out);
	if (update)
		write_file(result, buf_str(&out));
	want = read_file(result);
	ck_assert_msg(str_eq(buf_str(&want), buf_str(&out)),
	    "%s is not what it should be:\n%.*s", result, (int)out.len, out.p);
	/* What was read is written as it was. */
	buf_reset(&out);
	tallies_format(&all, &out);
	ck_assert(str_eq(buf_str(&in), buf_str(&out)));
	tallies_clear(&all);
	buf_clear(&in);
	buf_clear(&mail);
	buf_clear(&out);
	buf_clear(&want);
}

START_TEST(golden)
{
	glob_t found;

	ck_assert_int_eq(
	    glob("tests/golden/tls-report/*.in", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++)
		check_golden(found.gl_pathv[i]);
	globfree(&found);
}

END_TEST

/* The largest that can be counted can be sent. */
START_TEST(fits)
{
	struct tallies all;
	struct buf mail;
	char text[4096], name[256];
	uint32_t header_size;

	memset(text, '\1', sizeof(text));
	memset(name, '\1', sizeof(name));
	tallies_init(&all);
	for (int i = 0; i < TALLY_POLICIES_MAX * TALLY_FAILURES_MAX; i++) {
		struct tell_tls_tally m = { .domain = { name, 255 },
			.rua = { text, 1024 },
			.policy = TLS_POLICY_STS,
			.policy_text = { text, 4095 },
			.mx_patterns = { text, 4096 },
			.result = TLS_RESULT_VALIDATION,
			.mx = { name, 255 },
			.mx_address = { name, 64 },
			.our_address = { name, 64 },
			.reason = { name, 128 },
			.count = UINT32_MAX };

		text[0] = (char)('a' + i / TALLY_FAILURES_MAX);
		snprintf(name, sizeof(name), "%d", i);
		m.domain = STR("large.example");
		ck_assert_int_eq(tallies_add(&all, &m), 0);
	}
	struct tls_report r = { .tally = tallies_next(&all, NULL),
		.by = &by,
		.id = STR("0abcdefghijklmno"),
		.hostname = STR("mail.gw.example"),
		.to = STR("reports@far.example"),
		.now_ms = (uint64_t)NOW_S * 1000 };
	buf_init(&mail, TLS_REPORT_MAX);
	ck_assert_int_eq(tls_report_build(&r, &mail, &header_size), 0);
	buf_clear(&mail);
	tallies_clear(&all);
	ck_assert_uint_eq(all.nentries, 0);
	ck_assert_uint_eq(all.bytes, 0);
}

END_TEST

START_TEST(addresses)
{
	static const struct {
		const char *rua, *to;
		size_t nother;
	} cases[] = {
		{ "v=TLSRPTv1;rua=mailto:a@b.example", "a@b.example ", 0 },
		{ "v=TLSRPTv1; rua = mailto:a@b.example , MAILTO:c@d.example;",
		    "a@b.example c@d.example ", 0 },
		{ "v=TLSRPTv1; x=y; rua=mailto:a@b.example!10m", "a@b.example ",
		    0 },
		{ "v=TLSRPTv1; rua=mailto:a%21%25@b.example?subject=x",
		    "a!%@b.example ", 0 },
		{ "v=TLSRPTv1; rua=https://b.example/r,mailto:a@b.example",
		    "a@b.example ", 1 },
		{ "v=TLSRPTv1; rua=mailto:a@b.example,mailto:c@b.example,"
		  "mailto:A%40B.example,mailto:c@b.example?x=y",
		    "a@b.example c@b.example ", 0 },
		{ "v=TLSRPTv1; rua=mailto:a%0d%0aX@b.example", "", 1 },
		{ "v=TLSRPTv1; rua=mailto:a%3Eb@b.example", "", 1 },
		{ "v=TLSRPTv1; rua=mailto:a%4", "", 1 },
		{ "v=TLSRPTv1; rua=mailto:a%zz@b.example", "", 1 },
		{ "v=TLSRPTv1; rua=mailto:", "", 1 },
		{ "v=TLSRPTv1; rua=mailto:@b.example", "", 1 },
		{ "v=TLSRPTv1; rua=mailto:nobody", "", 1 },
		{ "v=TLSRPTv1; rua=mailto:a@[192.0.2.1]", "", 1 },
		{ "v=TLSRPTv1; rua=mailto:a\xc3\xa9@b.example", "", 1 },
		{ "v=TLSRPTv1; rua=,,", "", 0 },
		{ "v=TLSRPTv1", "", 0 },
		{ "", "", 0 },
		{ "v=TLSRPTv1;rua=mailto:1@x.y,mailto:2@x.y,mailto:3@x.y,"
		  "mailto:4@x.y,mailto:5@x.y,mailto:6@x.y,mailto:7@x.y,"
		  "mailto:8@x.y,mailto:9@x.y",
		    "1@x.y 2@x.y 3@x.y 4@x.y 5@x.y 6@x.y 7@x.y 8@x.y ", 1 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str to[TLS_REPORT_TO_MAX];
		struct buf text, all;
		size_t nother;

		buf_init(&text, 4096);
		buf_init(&all, 4096);
		size_t n = tls_report_addresses(
		    str_of(cases[i].rua), &text, to, &nother);
		for (size_t k = 0; k < n; k++)
			buf_addf(&all, "%.*s ", (int)to[k].len, to[k].p);
		ck_assert_msg(str_eq(buf_str(&all), str_of(cases[i].to)),
		    "%s: %.*s", cases[i].rua, (int)all.len, all.p);
		ck_assert_uint_eq(nother, cases[i].nother);
		buf_clear(&text);
		buf_clear(&all);
	}
}

END_TEST

int
main(int argc, char **argv)
{
	const TTest *const tests[] = { golden, fits, addresses };

	update = argc > 1 && strcmp(argv[1], "-u") == 0;
	return TESTS_RUN("tls_report_text", tests, NULL, NULL, 120);
}
