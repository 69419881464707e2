/* The digest itself is not known here, and may be any: what surrounds it is
 * checked, which is most of the block. */
#include "vault/padding.h"

#include <openssl/evp.h>
#include <string.h>

enum {
	FILL_MIN = 8,
	INFO_SIZE = 19,  /* of what stands before the digest */
	INFO_LENGTH = 1, /* in it: bytes behind its second */
	INFO_DIGEST = 14,
	INFO_SIZE_AT = 18,
	DIGEST_MAX = 64,
	BLOCK_MAX = 1024
};

static const struct digest {
	const EVP_MD *(*type)(void);
	uint8_t number; /* the last of its object identifier */
	uint8_t size;
} digests[] = {
	{ EVP_sha256, 1, 32 },
	{ EVP_sha384, 2, 48 },
	{ EVP_sha512, 3, 64 },
};

/* --- PKCS #1 v1.5: 00 01 FF ... FF 00, DigestInfo --- */

/* The last bytes of the block: DigestInfo in DER (RFC 8017 9.2, note 1). */
static bool
ends_in_info(const uint8_t *block, size_t len, const struct digest *d)
{
	uint8_t info[INFO_SIZE] = { 0x30, 0, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86,
		0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0, 0x05, 0x00, 0x04, 0 };

	info[INFO_LENGTH] = (uint8_t)(INFO_SIZE - 2 + d->size);
	info[INFO_DIGEST] = d->number;
	info[INFO_SIZE_AT] = d->size;
	return memcmp(block + len - d->size - INFO_SIZE, info, INFO_SIZE) == 0;
}

static bool
is_pkcs1(const uint8_t *block, size_t len, const struct digest *d)
{
	size_t fill = len - d->size - INFO_SIZE - 1; /* where it ends, in 00 */

	if (block[0] != 0 || block[1] != 1 || block[fill] != 0 ||
	    !ends_in_info(block, len, d))
		return false;
	for (size_t i = 2; i < fill; i++)
		if (block[i] != 0xff)
			return false;
	return true;
}

/* --- PSS: masked (00 ... 00 01, salt), H, BC --- */

/* MGF1 (RFC 8017 B.2.1): takes the mask of seed off data. */
static bool
unmask(uint8_t *data, size_t len, const uint8_t *seed, const struct digest *d)
{
	uint8_t input[DIGEST_MAX + 4] = { 0 }, mask[DIGEST_MAX];

	memcpy(input, seed, d->size);
	/* The counter has four bytes, and never gets beyond the last. */
	for (size_t at = 0; at < len; at += d->size) {
		if (EVP_Digest(
			input, d->size + 4U, mask, NULL, d->type(), NULL) != 1)
			return false;
		for (size_t i = 0; i < d->size && at + i < len; i++)
			data[at + i] ^= mask[i];
		input[d->size + 3]++;
	}
	return true;
}

/* em: of bits less one (RFC 8017 8.1.1); the salt is as long as the digest
 * (RFC 8446 4.2.3). */
static bool
is_pss(const uint8_t *em, size_t len, size_t bits, const struct digest *d)
{
	size_t db_len = len - d->size - 1, zeros = db_len - d->size - 1;
	uint8_t unused = (uint8_t)(0xffU << (bits - 8 * (len - 1)));
	uint8_t db[BLOCK_MAX];

	if (em[len - 1] != 0xbc || (em[0] & unused) != 0)
		return false;
	memcpy(db, em, db_len);
	if (!unmask(db, db_len, em + db_len, d))
		return false;
	db[0] &= (uint8_t)~unused;
	for (size_t i = 0; i < zeros; i++)
		if (db[i] != 0)
			return false;
	return db[zeros] == 1;
}

/* --- either --- */

bool
padding_is_of_signature(const uint8_t *block, size_t len, size_t bits)
{
	size_t least = 2 * DIGEST_MAX + INFO_SIZE + FILL_MIN;
	/* One bit less than the modulus may be one byte less. */
	size_t skip = bits % 8 == 1 ? 1 : 0;

	if (len < least || len > BLOCK_MAX || len != (bits + 7) / 8 ||
	    (skip == 1 && block[0] != 0))
		return false;
	for (size_t i = 0; i < sizeof(digests) / sizeof(digests[0]); i++)
		if (is_pkcs1(block, len, &digests[i]) ||
		    is_pss(block + skip, len - skip, bits - 1, &digests[i]))
			return true;
	return false;
}
