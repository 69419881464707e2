/* The record format: round trips, and refusal of everything else. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "edges/smtpd_queue.h"
#include "lib/base/bytes.h"
#include "queue/record.h"
#include "tests/unit/queue/running.h"

static const struct mail_rcpt RCPTS[] = {
	{ .to = { "a@example.net", 13 },
	    .action = { "out", 3 },
	    .orcpt = { "rfc822;A+x@example.net", 22 },
	    .start = START_UNFILTERED | MAIL_RCPT_HELD,
	    .notify = NOTIFY_SUCCESS | NOTIFY_DELAY },
	{ .to = { "b@example.net", 13 },
	    .action = { "box", 3 },
	    .orig = { "B@example.net", 13 },
	    .start = START_QUARANTINED },
};

static const struct mail_record MAIL = { .seq = 77,
	.msgid = { "0123456789abcdef", 16 },
	.from = { "", 0 },
	.client = { "192.0.2.7", 9 },
	.client_name = { "client", 6 },
	.listener = { "127.0.0.1:25", 12 },
	.flags = 3,
	.received_ms = 1700000000000,
	.rcpts = RCPTS,
	.nrcpt = 2,
	.header_size = 8,
	.bodyfile = 5,
	.body_size = 1000000,
	.content = { "A: b\r\n\r\nbody\0more", 18 },
	.filter = { "scan", 4 },
	.reason = { "it smells", 9 },
	.context = { "j=a\0i=b", 7 },
	.envid = { "Q=1", 3 },
	.held = { "too much", 8 },
	.user = { "jane", 4 } };

static void
same_str(struct str a, struct str b)
{
	ck_assert(str_eq(a, b));
}

static int
decode(const uint8_t *p, size_t len, uint8_t version, struct mail_decoded *out)
{
	struct record_header h = { .kind = RECORD_MAIL,
		.version = version,
		.length = (uint32_t)len,
		.seq = 77 };

	return mail_decode(&h, p, out);
}

START_TEST(mail_round_trip)
{
	size_t len = mail_size(&MAIL);
	uint8_t *p = malloc(len);
	struct mail_decoded d;

	mail_encode(p, &MAIL);
	ck_assert_int_eq(decode(p, len, RECORD_VERSION, &d), 0);
	same_str(d.mail.msgid, MAIL.msgid);
	same_str(d.mail.from, MAIL.from);
	same_str(d.mail.client, MAIL.client);
	same_str(d.mail.client_name, MAIL.client_name);
	same_str(d.mail.listener, MAIL.listener);
	same_str(d.mail.content, MAIL.content);
	same_str(d.mail.filter, MAIL.filter);
	same_str(d.mail.reason, MAIL.reason);
	same_str(d.mail.context, MAIL.context);
	same_str(d.mail.envid, MAIL.envid);
	same_str(d.mail.held, MAIL.held);
	same_str(d.mail.user, MAIL.user);
	ck_assert_uint_eq(d.mail.seq, 77);
	ck_assert_uint_eq(d.mail.flags, 3);
	ck_assert_uint_eq(d.mail.received_ms, MAIL.received_ms);
	ck_assert_uint_eq(d.mail.header_size, 8);
	ck_assert_uint_eq(d.mail.bodyfile, 5);
	ck_assert_uint_eq(d.mail.body_size, 1000000);
	ck_assert_uint_eq(d.mail.nrcpt, 2);
	for (int i = 0; i < 2; i++) {
		same_str(d.mail.rcpts[i].to, RCPTS[i].to);
		same_str(d.mail.rcpts[i].action, RCPTS[i].action);
		same_str(d.mail.rcpts[i].orig, RCPTS[i].orig);
		same_str(d.mail.rcpts[i].orcpt, RCPTS[i].orcpt);
		ck_assert_uint_eq(d.mail.rcpts[i].start, RCPTS[i].start);
		ck_assert_uint_eq(d.mail.rcpts[i].notify, RCPTS[i].notify);
	}
	mail_decoded_clear(&d);
	for (size_t cut = 0; cut < len; cut++)
		ck_assert_int_eq(decode(p, cut, RECORD_VERSION, &d), -1);
	free(p);
}

END_TEST

/* What an older gateway wrote: a fixed part of 56 bytes, recipients of 6. */
START_TEST(mail_of_version_1)
{
	static const uint8_t tail[] = "0123456789abcdef"
				      "a@x"
				      "\3\0\2\0\0\0b@yin"
				      "A: b\r\n\r\nhi";
	uint8_t p[56 + sizeof(tail) - 1] = { 0 };
	struct mail_decoded d;

	put_le64(p, 1700000000000);
	put_le32(p + 24, 1);
	put_le32(p + 28, 1);
	put_le32(p + 32, 8);
	put_le32(p + 36, 10);
	put_le16(p + 40, 16);
	put_le16(p + 42, 3);
	put_le32(p + 52, 11);
	memcpy(p + 56, tail, sizeof(tail) - 1);
	ck_assert_int_eq(decode(p, sizeof(p), 1, &d), 0);
	same_str(d.mail.msgid, STR("0123456789abcdef"));
	same_str(d.mail.from, STR("a@x"));
	same_str(d.mail.rcpts[0].to, STR("b@y"));
	same_str(d.mail.rcpts[0].action, STR("in"));
	ck_assert_uint_eq(d.mail.rcpts[0].start, START_WAITING);
	same_str(d.mail.content, STR("A: b\r\n\r\nhi"));
	ck_assert_uint_eq(d.mail.context.len, 0);
	mail_decoded_clear(&d);
	for (size_t cut = 0; cut < sizeof(p); cut++)
		ck_assert_int_eq(decode(p, cut, 1, &d), -1);
}

END_TEST

/* A fixed part of 64 bytes, recipients of 8. */
START_TEST(mail_of_version_2)
{
	static const uint8_t tail[] = "0123456789abcdef"
				      "a@x"
				      "scansmellsC"
				      "\3\0\2\0\0\0\1\0b@yin"
				      "A: b\r\n\r\nhi";
	uint8_t p[64 + sizeof(tail) - 1] = { 0 };
	struct mail_decoded d;

	put_le64(p, 1700000000000);
	put_le32(p + 24, 1);
	put_le32(p + 28, 1);
	put_le32(p + 32, 8);
	put_le32(p + 36, 10);
	put_le16(p + 40, 16);
	put_le16(p + 42, 3);
	put_le16(p + 50, 1);
	put_le32(p + 52, 13);
	put_le16(p + 56, 4);
	put_le16(p + 58, 6);
	memcpy(p + 64, tail, sizeof(tail) - 1);
	ck_assert_int_eq(decode(p, sizeof(p), 2, &d), 0);
	same_str(d.mail.from, STR("a@x"));
	same_str(d.mail.filter, STR("scan"));
	same_str(d.mail.reason, STR("smells"));
	same_str(d.mail.context, STR("C"));
	same_str(d.mail.rcpts[0].to, STR("b@y"));
	same_str(d.mail.rcpts[0].action, STR("in"));
	ck_assert_uint_eq(d.mail.rcpts[0].start, START_QUARANTINED);
	ck_assert_uint_eq(d.mail.rcpts[0].notify, NOTIFY_DEFAULT);
	ck_assert_uint_eq(d.mail.rcpts[0].orcpt.len, 0);
	ck_assert_uint_eq(d.mail.envid.len, 0);
	ck_assert_uint_eq(d.mail.user.len, 0);
	same_str(d.mail.content, STR("A: b\r\n\r\nhi"));
	mail_decoded_clear(&d);
	for (size_t cut = 0; cut < sizeof(p); cut++)
		ck_assert_int_eq(decode(p, cut, 2, &d), -1);
	/* Nobody was held from the start then. */
	p[64 + 16 + 3 + 11 + 6] = MAIL_RCPT_HELD;
	ck_assert_int_eq(decode(p, sizeof(p), 2, &d), -1);
}

END_TEST

/* A recipient that starts as nothing we know is not taken for one that may be
 * delivered. */
START_TEST(mail_with_an_unknown_start)
{
	struct mail_rcpt rcpts[2] = { RCPTS[0], RCPTS[1] };
	struct mail_record m = MAIL;
	uint8_t p[512];
	struct mail_decoded d;

	rcpts[1].start = START_UNFILTERED + 1;
	m.rcpts = rcpts;
	ck_assert_uint_le(mail_size(&m), sizeof(p));
	mail_encode(p, &m);
	ck_assert_int_eq(decode(p, mail_size(&m), RECORD_VERSION, &d), -1);
	rcpts[1].start = START_WAITING;
	rcpts[1].notify = NOTIFY_ALL + 1;
	mail_encode(p, &m);
	ck_assert_int_eq(decode(p, mail_size(&m), RECORD_VERSION, &d), -1);
}

END_TEST

START_TEST(mail_changed_bytes)
{
	size_t len = mail_size(&MAIL);
	uint8_t *p = malloc(len);
	struct mail_decoded d;

	/* Whatever the payload says, its views stay inside it. */
	for (size_t i = 0; i < len; i++) {
		mail_encode(p, &MAIL);
		for (unsigned int v = 0; v < 256; v += 51) {
			p[i] = (uint8_t)v;
			if (decode(p, len, RECORD_VERSION, &d) == 0)
				mail_decoded_clear(&d);
		}
	}
	free(p);
}

END_TEST

START_TEST(mail_too_long_for_the_format)
{
	struct mail_record m = MAIL;

	m.from.len = 65536;
	ck_assert_uint_eq(mail_size(&m), 0);
	m = MAIL;
	m.header_size = 19;
	ck_assert_uint_eq(mail_size(&m), 0);
}

END_TEST

START_TEST(state_round_trip)
{
	struct state_rcpt r[] = {
		{ 1, STATE_RCPT_DELIVERED, 3, 0, { "250 ok", 6 }, { "mx", 2 },
		    { "out", 3 }, 0, 0, 0 },
		{ 0, STATE_RCPT_WAITING, 1, 99, { "451 no", 6 }, { "", 0 },
		    { "", 0 }, 0, 0, 0 },
	};
	struct state_record s = { 9, 123456, 4, r, 2 };
	uint8_t p[256];
	size_t len = state_size(&s);
	struct state_decoded d;

	ck_assert_uint_le(len, sizeof(p));
	state_encode(p, &s);
	ck_assert_int_eq(state_decode(p, len, 9, &d), 0);
	ck_assert_uint_eq(d.state.seq, 9);
	ck_assert_uint_eq(d.state.when_ms, 123456);
	ck_assert_uint_eq(d.state.operation, 4);
	ck_assert_uint_eq(d.state.nrcpt, 2);
	ck_assert_uint_eq(d.state.rcpts[0].index, 1);
	ck_assert_uint_eq(d.state.rcpts[0].state, STATE_RCPT_DELIVERED);
	ck_assert_uint_eq(d.state.rcpts[1].next_ms, 99);
	same_str(d.state.rcpts[1].reply, r[1].reply);
	same_str(d.state.rcpts[0].relay, r[0].relay);
	same_str(d.state.rcpts[0].action, r[0].action);
	same_str(d.state.rcpts[1].action, r[1].action);
	state_decoded_clear(&d);
	for (size_t cut = 0; cut < len; cut++)
		ck_assert_int_eq(state_decode(p, cut, 9, &d), -1);
	p[24 + 16] = STATE_RCPT_LAST + 1;
	ck_assert_int_eq(state_decode(p, len, 9, &d), -1);
}

END_TEST

/* What a removed one was. */
START_TEST(note_round_trip)
{
	struct state_rcpt r[] = {
		{ .index = 3,
		    .state = STATE_RCPT_REMOVED,
		    .reply = STR("451 no"),
		    .operation = 0x1122334455667788,
		    .was = STATE_RCPT_WAITING | STATE_RCPT_WARNED,
		    .was_ms = 77 },
		{ .index = 4, .state = STATE_RCPT_HELD },
		{ .index = 5,
		    .state = STATE_RCPT_HELD,
		    .operation = 1,
		    .was = STATE_RCPT_LAST | STATE_RCPT_FLAGS,
		    .was_ms = UINT64_MAX },
	};
	struct state_record s = { 9, 123456, 4, r, 3 };
	uint8_t p[256];
	size_t len = state_size(&s);
	struct state_decoded d;

	ck_assert_uint_le(len, sizeof(p));
	state_encode(p, &s);
	ck_assert_int_eq(state_decode(p, len, 9, &d), 0);
	for (size_t i = 0; i < 3; i++) {
		ck_assert_uint_eq(d.state.rcpts[i].index, r[i].index);
		ck_assert_uint_eq(d.state.rcpts[i].state, r[i].state);
		ck_assert_uint_eq(d.state.rcpts[i].operation, r[i].operation);
		ck_assert_uint_eq(d.state.rcpts[i].was, r[i].was);
		ck_assert_uint_eq(d.state.rcpts[i].was_ms, r[i].was_ms);
	}
	state_decoded_clear(&d);
	for (size_t cut = 0; cut < len; cut++)
		ck_assert_int_eq(state_decode(p, cut, 9, &d), -1);
	/* A state that there is not, and no number. */
	p[24 + 17] = STATE_RCPT_LAST + 2;
	ck_assert_int_eq(state_decode(p, len, 9, &d), -1);
	state_encode(p, &s);
	memset(p + 24 + 24 + 6, 0, 8);
	ck_assert_int_eq(state_decode(p, len, 9, &d), -1);
	/* Without the note its bytes are too many. */
	state_encode(p, &s);
	p[24 + 17] = 0;
	ck_assert_int_eq(state_decode(p, len, 9, &d), -1);
}

END_TEST

START_TEST(segment_header_round_trip)
{
	struct segment_header h = { .number = 3,
		.size = 4194304,
		.generation = 0x500000001,
		.prev_generation = 0x400000009,
		.prev_end = 8192,
		.next_batch = 17,
		.last_seq = 1000,
		.ncuts = SEGMENT_CUTS_MAX };
	struct segment_header got;
	uint8_t p[SEGMENT_BLOCK];

	h.cuts[SEGMENT_CUTS_MAX - 1] = (struct segment_cut){ 7, 12288 };
	segment_header_encode(p, &h);
	ck_assert_int_eq(segment_header_decode(p, &got), 0);
	ck_assert_uint_eq(got.number, 3);
	ck_assert_uint_eq(got.size, 4194304);
	ck_assert_uint_eq(got.generation, 0x500000001);
	ck_assert_uint_eq(got.prev_generation, 0x400000009);
	ck_assert_uint_eq(got.prev_end, 8192);
	ck_assert_uint_eq(got.next_batch, 17);
	ck_assert_uint_eq(got.last_seq, 1000);
	ck_assert_uint_eq(got.cuts[SEGMENT_CUTS_MAX - 1].generation, 7);
	ck_assert_uint_eq(got.cuts[SEGMENT_CUTS_MAX - 1].end, 12288);
	for (size_t i = 0; i < SEGMENT_BLOCK; i++) {
		p[i] ^= 0x10;
		ck_assert_int_eq(segment_header_decode(p, &got), -1);
		p[i] ^= 0x10;
	}
}

END_TEST

START_TEST(every_bit_of_a_batch_header_counts)
{
	struct batch_header h = { .used = 4000,
		.generation = 5,
		.sequence = 6,
		.offset = 8192,
		.mark_generation = 4,
		.mark_offset = 100,
		.records = 2 };
	struct batch_header got;
	uint8_t p[BATCH_HEADER];

	batch_header_encode(p, &h);
	ck_assert_int_eq(batch_header_decode(p, 5, &got), 0);
	ck_assert_uint_eq(got.sequence, 6);
	ck_assert_uint_eq(got.mark_offset, 100);
	ck_assert_int_eq(batch_header_decode(p, 6, &got), -1);
	for (unsigned int bit = 0; bit < 8 * BATCH_HEADER; bit++) {
		p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_int_eq(batch_header_decode(p, 5, &got), -1);
		p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

END_TEST

START_TEST(every_bit_of_a_record_counts)
{
	enum { PAYLOAD = 20 };

	uint8_t p[RECORD_HEADER + PAYLOAD] = { 0 };
	struct record_header got;
	struct record_header h = { .kind = RECORD_STATE,
		.flags = RECORD_WHOLE,
		.length = PAYLOAD,
		.generation = 5,
		.seq = 12 };

	memset(p + RECORD_HEADER, 'x', PAYLOAD);
	record_seal(p, &h, p + RECORD_HEADER);
	ck_assert_int_eq(record_header_decode(p, 5, &got), 0);
	ck_assert_uint_eq(got.seq, 12);
	ck_assert_uint_eq(got.flags, RECORD_WHOLE);
	ck_assert_uint_eq(got.length, PAYLOAD);
	ck_assert(record_payload_is_good(&got, p + RECORD_HEADER));
	/* An older use of the segment, even with the number put right. */
	ck_assert_int_eq(record_header_decode(p, 4, &got), -1);
	for (unsigned int bit = 0; bit < 8 * sizeof(p); bit++) {
		p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert(record_header_decode(p, 5, &got) == -1 ||
			  !record_payload_is_good(&got, p + RECORD_HEADER));
		p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

END_TEST

int
main(void)
{
	TCase *t = tcase_create("record");

	tcase_add_test(t, mail_round_trip);
	tcase_add_test(t, note_round_trip);
	tcase_add_test(t, mail_of_version_1);
	tcase_add_test(t, mail_of_version_2);
	tcase_add_test(t, mail_with_an_unknown_start);
	tcase_add_test(t, mail_changed_bytes);
	tcase_add_test(t, mail_too_long_for_the_format);
	tcase_add_test(t, state_round_trip);
	tcase_add_test(t, segment_header_round_trip);
	tcase_add_test(t, every_bit_of_a_batch_header_counts);
	tcase_add_test(t, every_bit_of_a_record_counts);
	return tests_run_case("record", t);
}
