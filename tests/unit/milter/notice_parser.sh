#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The messages that notice_test makes, read by Perl's own modules for mail: what a reader sees is what the golden files say.
src=${SEALGATE_SRC:-$(dirname "$0")/../../..}
build=${SEALGATE_BUILD:-.}
perl -MEncode -MMIME::Base64 -MMIME::QuotedPrint -e 1 2>/dev/null || exit 77
[ -x "$build/tests/unit/milter/notice_test" ] || exit 77
work=$(mktemp -d) || exit 70
trap 'rm -rf "$work"' EXIT

SEALGATE_SRC=$src NOTICE_DUMP=$work "$build/tests/unit/milter/notice_test" >"$work/log" 2>&1 || {
	cat "$work/log"
	exit 1
}
cat >"$work/read.pl" <<'E'
use strict;
use warnings;
use Encode;
use MIME::Base64;
use MIME::QuotedPrint;
binmode STDOUT, ':encoding(UTF-8)';

# The fields of a header block, unfolded, and what is behind it.
sub fields {
	my ($head, $body) = split /\r\n\r\n/, $_[0], 2;
	my %fields;
	die "bare line end\n" if $_[0] =~ /(?<!\r)\n|\r(?!\n)/;
	$head =~ s/\r\n(?=[ \t])//g;
	for (split /\r\n/, $head) {
		die "no field: $_\n" unless /^([!-9;-~]+): ?(.*)$/;
		die "twice: $1\n" if exists $fields{lc $1};
		$fields{lc $1} = $2;
	}
	return (\%fields, $body);
}

sub entity {
	my ($f, $body) = @_;
	my $type = $f->{'content-type'} // 'text/plain';
	my ($name) = $type =~ /^([^;\s]+)/;
	my ($report) = $type =~ /report-type=([^;\s]+)/;
	print "== $name", $report ? " $report" : '', "\n";
	if ($type =~ /^multipart.*boundary="([^"]+)"/) {
		my $mark = quotemeta "--$1";
		my ($parts) = $body =~ /^$mark\r\n(.*)\r\n$mark--\r\n$/s or die "boundary\n";
		entity(fields($_)) for split /\r\n$mark\r\n/, $parts;
		return;
	}
	my $encoding = lc($f->{'content-transfer-encoding'} // '7bit');
	die "8-bit\n" if $encoding ne '8bit' && $body =~ /[^\x00-\x7f]/;
	for (split /\r\n/, $body) { die "long line\n" if length > 998; }
	$body = decode_base64($body) if $encoding eq 'base64';
	$body = decode_qp($body) if $encoding eq 'quoted-printable';
	my ($charset) = $type =~ /charset="?([^;"\s]+)/;
	$body = decode($charset // 'us-ascii', $body, Encode::FB_CROAK);
	$body =~ s/\r//g;
	$body .= "\n" if length $body && $body !~ /\n$/;
	print $body;
}

local $/;
my ($f, $body) = fields(scalar <STDIN>);
for ('From', 'To', 'Reply-To', 'Subject', 'Date', 'In-Reply-To', 'References', 'Auto-Submitted', 'X-Signed') {
	print "$_: ", decode('MIME-Header', $f->{lc $_}), "\n" if exists $f->{lc $_};
}
die "no Message-ID\n" unless $f->{'message-id'} =~ /^<[0-9a-f.]+\@org\.example>$/;
entity($f, $body);
E
n=0
for kind in refused named failed invite learned; do
	for tag in en de ja ja.jis; do
		perl "$work/read.pl" <"$work/$kind.$tag" >"$work/got" || {
			echo "$kind.$tag: not read"
			exit 1
		}
		diff "$src/tests/unit/milter/notices/$kind.${tag%.jis}" "$work/got" || {
			echo "$kind.$tag: another parser sees something else"
			exit 1
		}
		n=$((n + 1))
	done
done
[ "$n" = 20 ] && grep -q 'charset=iso-2022-jp' "$work/refused.ja.jis" && grep -q '=?ISO-2022-JP?B?' "$work/failed.ja.jis"
