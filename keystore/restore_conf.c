/* SPDX-License-Identifier: BSD-2-Clause */
#include "keystore/restore_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"

/* A path of the old configuration in the new folder. */
static enum rc
map_path(const struct restore *r, const char *old_dir, const char *path, struct buf *out,
	struct err *err)
{
	size_t len = strlen(old_dir);

	if (strncmp(path, old_dir, len) == 0 && path[len] == '/')
		return buf_appendf(out, err, "%s%s", r->dir, path + len);
	return buf_appendf(out, err, "%s%s", r->dir, path);
}

/* A path of ours. A token's module is the system's. */
static bool
is_ours(const struct conf_option *row)
{
	return row->type == CONF_PATH &&
	       !(strcmp(row->section, "tokens") == 0 && strcmp(row->name, "module") == 0);
}

/* Is TEXT, which begins with a slash, a path that an option has? */
static bool
is_option(const struct conf *conf, const char *text)
{
	size_t n;
	const struct conf_option *rows = conf_options(&n);

	for (size_t i = 0; i < n; i++) {
		size_t groups = rows[i].list ? conf_count(conf, rows[i].section) : 1;

		for (size_t g = 0; is_ours(&rows[i]) && g < groups; g++) {
			const struct conf_group *group =
				rows[i].list ? conf_item(conf, rows[i].section, g)
					     : conf_section(conf, rows[i].section);
			const char *value = conf_str(group, rows[i].name);

			if (value && strcmp(value, text) == 0)
				return true;
		}
	}
	return false;
}

/* One quoted string of the file, as it shall stand there. */
static enum rc
map_string(const struct restore *r, const struct conf *old, const char *old_dir, const char *text,
	struct buf *out, struct err *err)
{
	static const char *const prefixes[] = {"unix:", "file:"};

	if (strcmp(text, conf_str(conf_section(old, "vault"), "master_key")) == 0)
		return buf_append_str(out, r->spec, err);
	for (size_t i = 0; i < 2; i++)
		if (strncmp(text, prefixes[i], 5) == 0 && text[5] == '/') {
			enum rc rc = buf_append_str(out, prefixes[i], err);

			return rc ? rc : map_path(r, old_dir, text + 5, out, err);
		}
	if (text[0] == '/' && is_option(old, text))
		return map_path(r, old_dir, text, out, err);
	return buf_append_str(out, text, err);
}

/* The text of the file with its paths changed; comments stay. */
static enum rc
map_conf(const struct restore *r, const struct conf *old, const char *old_dir, const char *text,
	struct buf *out, struct err *err)
{
	char string[4096];
	enum rc rc = RC_OK;

	while (!rc && *text) {
		size_t n;

		if (*text == '#' || (text[0] == '/' && text[1] == '/')) {
			n = strcspn(text, "\n");
			rc = buf_append(out, text, n, err);
		} else if (text[0] == '/' && text[1] == '*') {
			const char *end = strstr(text, "*/");

			n = end ? (size_t)(end - text) + 2 : strlen(text);
			rc = buf_append(out, text, n, err);
		} else if (*text == '"') {
			for (n = 1; text[n] && text[n] != '"'; n++)
				n += text[n] == '\\' && text[n + 1];
			rc = buf_append_char(out, '"', err);
			if (!rc && n < sizeof(string) && !memchr(text, '\\', n)) {
				memcpy(string, text + 1, n - 1);
				string[n - 1] = 0;
				rc = map_string(r, old, old_dir, string, out, err);
			} else if (!rc) {
				rc = buf_append(out, text + 1, n - 1, err);
			}
			if (!rc && text[n] == '"')
				rc = buf_append_char(out, text[n++], err);
		} else {
			n = 1;
			rc = buf_append_char(out, *text, err);
		}
		text += n;
	}
	return rc;
}

enum rc
restore_in_work(const struct restore *r, const char *path, char out[PATH_MAX], struct err *err)
{
	size_t len = strlen(r->dir);

	if (strncmp(path, r->dir, len) != 0 || path[len] != '/' ||
		(size_t)snprintf(out, PATH_MAX, "%s%s", r->work, path + len) >= PATH_MAX)
		return err_set(err, ERR_CONFIG, "%s would not be in %s", path, r->dir);
	return RC_OK;
}

/* However the backup's configuration is written (strings in two pieces, escapes): no path of the
 * new one leads out of the new folder. */
static enum rc
check_paths(const struct restore *r, const struct conf *conf, struct err *err)
{
	char ignored[PATH_MAX];
	size_t n;
	const struct conf_option *rows = conf_options(&n);
	enum rc rc = RC_OK;

	for (size_t i = 0; !rc && i < n; i++) {
		size_t groups = rows[i].list ? conf_count(conf, rows[i].section) : 1;

		for (size_t g = 0; !rc && is_ours(&rows[i]) && g < groups; g++) {
			const char *value =
				conf_str(rows[i].list ? conf_item(conf, rows[i].section, g)
						      : conf_section(conf, rows[i].section),
					rows[i].name);

			if (value && (strstr(value, "/../") || strstr(value, "/./")))
				rc = err_set(err, ERR_CONFIG, "%s: not a plain path", value);
			else if (value)
				rc = restore_in_work(r, value, ignored, err);
		}
	}
	return rc;
}

/* The configuration TEXT with the work folder instead of the final one. */
static enum rc
parse_for_work(struct restore *r, const char *text, struct err *err)
{
	struct buf out = BUF_INIT(8u << 20);
	char name[PATH_MAX + 32];
	size_t len = strlen(r->dir);
	enum rc rc = RC_OK;

	while (!rc && *text)
		if (strncmp(text, r->dir, len) == 0 && text[len] == '/') {
			rc = buf_append_str(&out, r->work, err);
			text += len;
		} else {
			rc = buf_append_char(&out, *text++, err);
		}
	snprintf(name, sizeof(name), "%s/sealgate.conf", r->work);
	if (!rc)
		rc = conf_parse(buf_text(&out), name, r->work, &r->work_conf, err);
	buf_fini(&out);
	return rc;
}

/* Where the master key is read from: MASTER, or what the backup's configuration says, in the new
 * folder. */
static enum rc
choose_master(struct restore *r, const struct conf *old, const char *old_dir, const char *master,
	struct err *err)
{
	const char *spec = conf_str(conf_section(old, "vault"), "master_key");
	struct buf mapped = BUF_INIT(PATH_MAX);
	enum rc rc = RC_OK;

	r->spec = r->spec_text;
	if (master) {
		r->spec = master;
	} else if (strncmp(spec, "file:", 5) != 0) {
		r->spec = "file:master.key";
	} else if (spec[5] == '/') {
		rc = map_path(r, old_dir, spec + 5, &mapped, err);
		snprintf(r->spec_text, sizeof(r->spec_text), "file:%.500s", buf_text(&mapped));
	} else {
		snprintf(r->spec_text, sizeof(r->spec_text), "%s", spec);
	}
	buf_fini(&mapped);
	return rc;
}

/* The backup's configuration as TEXT, and parsed with the folder DIR that it lay in, which the
 * manifest beside it tells. */
static enum rc
read_old(struct restore *r, struct buf *dir, struct buf *text, struct conf **old, struct err *err)
{
	char path[PATH_MAX];
	enum rc rc;

	snprintf(path, sizeof(path), "%.3000s/conf/sealgate.dir", r->work);
	rc = file_read(path, dir, err);
	snprintf(path, sizeof(path), "%.3000s/conf/sealgate.conf", r->work);
	if (!rc)
		rc = file_read(path, text, err);
	if (rc == RC_NONE)
		rc = err_set(err, ERR_MSG_MALFORMED, "the backup has no configuration");
	return rc ? rc : conf_parse(buf_text(text), "sealgate.conf", buf_text(dir), old, err);
}

enum rc
restore_conf(struct restore *r, const char *master, struct err *err)
{
	struct buf text = BUF_INIT(8u << 20), dir = BUF_INIT(PATH_MAX), out = BUF_INIT(8u << 20);
	char path[PATH_MAX], name[PATH_MAX + 32];
	struct conf *old = NULL;
	enum rc rc = read_old(r, &dir, &text, &old, err);

	if (!rc)
		rc = choose_master(r, old, buf_text(&dir), master, err);
	if (!rc)
		rc = map_conf(r, old, buf_text(&dir), buf_text(&text), &out, err);
	snprintf(name, sizeof(name), "%s/sealgate.conf", r->dir);
	if (!rc)
		rc = conf_parse(buf_text(&out), name, r->dir, &r->conf, err);
	if (!rc)
		rc = check_paths(r, r->conf, err);
	snprintf(path, sizeof(path), "%.3000s/sealgate.conf", r->work);
	if (!rc)
		rc = file_write_new(path, out.data, out.len, 0644, err);
	if (!rc)
		rc = parse_for_work(r, buf_text(&out), err);
	conf_unref(&old);
	buf_fini(&text);
	buf_fini(&dir);
	buf_fini(&out);
	return rc;
}
