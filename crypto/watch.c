/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/watch.h"

#include "crypto/ocsp.h"

/* The lists of CERT; how many there are. */
static size_t
note_lists(const struct watcher *watcher, const struct cert *cert, bool missing)
{
	struct cert_urls urls;
	size_t n = 0;

	if (cert_urls_get(cert, CERT_URL_CRL, &urls, NULL) != RC_OK)
		return 0;
	for (; n < urls.n; n++)
		watcher->note(watcher->ctx,
			&(struct watch_note){
				.kind = CERT_URL_CRL, .url = urls.v[n], .missing = missing});
	cert_urls_fini(&urls);
	return n;
}

static void
note_responders(const struct watcher *watcher, const struct cert *cert, const struct cert *issuer,
	bool missing)
{
	struct buf request = BUF_INIT(OCSP_REQUEST_MAX);
	char name[OCSP_FILE_NAME_SIZE];
	struct cert_urls urls;

	if (cert_urls_get(cert, CERT_URL_OCSP, &urls, NULL) != RC_OK)
		return;
	if (urls.n > 0 && ocsp_file_name(cert, issuer, name, NULL) == RC_OK &&
		ocsp_request(cert, issuer, &request, NULL) == RC_OK)
		for (size_t i = 0; i < urls.n; i++)
			watcher->note(watcher->ctx, &(struct watch_note){.kind = CERT_URL_OCSP,
							    .url = urls.v[i],
							    .missing = missing,
							    .name = name,
							    .request = request.data,
							    .request_len = request.len});
	buf_fini(&request);
	cert_urls_fini(&urls);
}

void
watch_revocation(const struct watcher *watcher, const struct cert *cert, const struct cert *issuer,
	bool missing)
{
	size_t lists;

	if (!watcher || !watcher->cares(watcher->ctx, cert_sha256(cert), missing))
		return;
	if (watcher->issuer)
		watcher->issuer(watcher->ctx, issuer);
	lists = note_lists(watcher, cert, missing);
	/* Where a list tells already, nobody has to be asked about each certificate. */
	if (missing || lists == 0)
		note_responders(watcher, cert, issuer, missing);
}

bool
watch_issuer(const struct watcher *watcher, const char *url)
{
	if (!watcher)
		return false;
	watcher->note(watcher->ctx,
		&(struct watch_note){.kind = CERT_URL_ISSUER, .url = url, .missing = true});
	return watcher->awaits && watcher->awaits(watcher->ctx, url);
}
