/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tally.c - who got what, as OpenSSL sees it
 *
 *   tally FOLDER TEXT FILE…
 *
 * The FILEs are messages as smtp-sink writes them. FOLDER has NAME.pem and NAME.key for recipients
 * NAME@…. Prints a line for each recipient of each message:
 *   ADDRESS clear       TEXT can be read
 *   ADDRESS signed      the same, under a good signature
 *   ADDRESS own         encrypted for exactly this recipient, who is the message's only one
 *   ADDRESS group       encrypted for exactly the recipients of the message
 *   ADDRESS wrong WHY   anything else
 * Encrypted means: TEXT is not to be seen, the recipient's key opens it, and inside is TEXT under a
 * good signature.
 */
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX 1100

static const char *folder, *text;

struct mail {
	char *data; /* from the first header field on */
	size_t len;
	char rcpts[MAX][100];
	int n;
};

static bool
has_text(const void *data, size_t len)
{
	return memmem(data, len, text, strlen(text)) != NULL;
}

static bool
bio_has_text(BIO *bio)
{
	char *data;
	long len = BIO_get_mem_data(bio, &data);

	return len > 0 && has_text(data, (size_t)len);
}

/* What smtp-sink puts before the message: one X-Rcpt-Args for each recipient. */
static void
take_envelope(struct mail *mail)
{
	while (strncmp(mail->data, "X-", 2) == 0) {
		char *end = strchr(mail->data, '\n');

		if (!end)
			break;
		if (mail->n < MAX)
			mail->n += sscanf(mail->data, "X-Rcpt-Args: <%99[^>]>",
					   mail->rcpts[mail->n]) == 1;
		mail->len -= (size_t)(end + 1 - mail->data);
		mail->data = end + 1;
	}
}

static X509 *
load_cert(const char *addr, EVP_PKEY **key)
{
	char path[600];
	X509 *cert = NULL;
	BIO *bio;

	snprintf(path, sizeof path, "%s/%.*s.pem", folder, (int)strcspn(addr, "@"), addr);
	bio = BIO_new_file(path, "r");
	if (bio)
		cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	if (!key)
		return cert;
	snprintf(path, sizeof path, "%s/%.*s.key", folder, (int)strcspn(addr, "@"), addr);
	bio = BIO_new_file(path, "r");
	*key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
	BIO_free(bio);
	return cert;
}

/* Every RecipientEncryptedKey counts as one; is CERT among them? */
static int
count_infos(CMS_ContentInfo *cms, X509 *cert, bool *found)
{
	STACK_OF(CMS_RecipientInfo) *infos = CMS_get0_RecipientInfos(cms); /* get0 */
	int n = 0;

	*found = false;
	for (int i = 0; i < sk_CMS_RecipientInfo_num(infos); i++) {
		CMS_RecipientInfo *ri = sk_CMS_RecipientInfo_value(infos, i);
		STACK_OF(CMS_RecipientEncryptedKey) * keys;

		if (CMS_RecipientInfo_type(ri) == CMS_RECIPINFO_TRANS) {
			n++;
			*found |= CMS_RecipientInfo_ktri_cert_cmp(ri, cert) == 0;
			continue;
		}
		if (CMS_RecipientInfo_type(ri) != CMS_RECIPINFO_AGREE)
			return -1;
		keys = CMS_RecipientInfo_kari_get0_reks(ri); /* get0 */
		for (int k = 0; k < sk_CMS_RecipientEncryptedKey_num(keys); k++, n++)
			*found |= CMS_RecipientEncryptedKey_cert_cmp(
					  sk_CMS_RecipientEncryptedKey_value(keys, k), cert) == 0;
	}
	return n;
}

/* A multipart/signed or opaque message with TEXT in it and a good signature over it. */
static bool
is_signed(BIO *mail)
{
	BIO *content = NULL, *out = BIO_new(BIO_s_mem());
	CMS_ContentInfo *cms = SMIME_read_CMS(mail, &content);
	bool ok = cms && OBJ_obj2nid(CMS_get0_type(cms)) == NID_pkcs7_signed &&
		  CMS_verify(cms, NULL, NULL, content, out, CMS_NO_SIGNER_CERT_VERIFY) == 1 &&
		  bio_has_text(out);

	CMS_ContentInfo_free(cms);
	BIO_free(content);
	BIO_free(out);
	return ok;
}

static const char *
judge_encrypted(const struct mail *mail, CMS_ContentInfo *cms, const char *addr, char why[200])
{
	EVP_PKEY *key = NULL;
	X509 *cert = load_cert(addr, &key);
	BIO *out = BIO_new(BIO_s_mem());
	bool found = false;
	int n = cert ? count_infos(cms, cert, &found) : 0;
	const char *verdict = "wrong";

	if (has_text(mail->data, mail->len))
		snprintf(why, 200, "the text can be seen");
	else if (!cert || !found)
		snprintf(why, 200, "not encrypted for this recipient");
	else if (n != mail->n)
		snprintf(why, 200, "%d RecipientInfos for %d recipients", n, mail->n);
	else if (CMS_decrypt(cms, key, cert, NULL, out, 0) != 1)
		snprintf(why, 200, "does not open");
	else if (!is_signed(out))
		snprintf(why, 200, "no good signature over the text inside");
	else
		verdict = n == 1 ? "own" : "group";
	BIO_free(out);
	X509_free(cert);
	EVP_PKEY_free(key);
	return verdict;
}

static void
judge(const struct mail *mail)
{
	for (int i = 0; i < mail->n; i++) {
		BIO *in = BIO_new_mem_buf(mail->data, (int)mail->len), *content = NULL;
		CMS_ContentInfo *cms = SMIME_read_CMS(in, &content);
		int type = cms ? OBJ_obj2nid(CMS_get0_type(cms)) : NID_undef;
		const char *verdict = "wrong";
		char why[200] = "";

		ERR_clear_error();
		BIO_reset(in);
		if (type == NID_pkcs7_enveloped || type == NID_id_smime_ct_authEnvelopedData)
			verdict = judge_encrypted(mail, cms, mail->rcpts[i], why);
		else if (!has_text(mail->data, mail->len))
			snprintf(why, sizeof why, "the text is not there");
		else if (type == NID_pkcs7_signed)
			verdict = is_signed(in) ? "signed" : "wrong";
		else
			verdict = "clear";
		printf("%s %s%s%s\n", mail->rcpts[i], verdict, *why ? " " : "", why);
		CMS_ContentInfo_free(cms);
		BIO_free(content);
		BIO_free(in);
	}
}

int
main(int argc, char **argv)
{
	static char data[4 << 20];
	static struct mail mail;

	if (argc < 3)
		return 64;
	folder = argv[1];
	text = argv[2];
	for (int i = 3; i < argc; i++) {
		FILE *file = fopen(argv[i], "r");

		if (!file) {
			perror(argv[i]);
			return 66;
		}
		mail = (struct mail){.data = data};
		mail.len = fread(data, 1, sizeof data - 1, file);
		data[mail.len] = 0;
		fclose(file);
		take_envelope(&mail);
		judge(&mail);
	}
	return 0;
}
