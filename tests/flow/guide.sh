#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The ten difficult cases of doc/guide.md are true: each command in it is run in a world as the case tells it, with the configuration
# that stands there, and prints what stands there.
#
#   guide.sh            compares
#   guide.sh --write    puts the real output into blocks of the guide that are empty or wrong; shorten it then with "[…]"
#
# In the guide, ```console holds commands ("$ …") and their output, ```conf the configuration from there on, and a comment
# "world: NAME ARGUMENT…" calls a function of guide_world.sh. "[…]" stands for lines or words that were left out. Fingerprints and
# serial numbers may differ, but each of the guide's has to be one and the same in a case; so may times, ports and durations.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"
command -v slapd >/dev/null || PATH=$PATH:/usr/sbin
for tool in slapd slapadd perl; do
	command -v $tool >/dev/null || skip "$tool is not installed"
done
[ -x "$builddir/mtadriver" ] || skip "mtadriver is not built"
SEALGATE_SRC=$srcdir
. "$srcdir/tests/lib/servers.sh"
servers_begin "$work/servers" || exit 70
both_end() {
	trap - EXIT
	(servers_stop)
	cleanup
}
trap both_end EXIT
. "$srcdir/tests/flow/guide_world.sh"
guide=$srcdir/doc/guide.md
mkdir "$work/steps"

sealgate() {
	"$builddir/sealgate" -c "$conf" "$@"
}

# The chapter in pieces: NNN.world, NNN.conf, NNN.run with NNN.want; NNN.case begins another case.
cut_up() {
	perl -CSD -Mutf8 -e '
		my ($dir, $n, $on, $kind, $f) = (shift, 0, 0, "");
		sub piece { my $f; open($f, ">:utf8", sprintf("%s/%03d.%s", $dir, $_[1] ? $n : ++$n, $_[0])) or die; $f }
		while (<>) {
			if ($kind) {
				if (/^```$/) { $kind = ""; next }
				if ($kind eq "console" && /^\$ (.*)/s) {
					my $c = piece("run"); print $c $1; close $c; $f = piece("want", 1); next;
				}
				print $f $_ if $f;
				next;
			}
			$on = /^## Ten difficult cases/ if /^## /;
			next unless $on;
			if (/^### /) { my $c = piece("case"); print $c $_ }
			elsif (/^<!-- world: (.*) -->$/) { my $c = piece("world"); print $c "$1\n" }
			elsif (/^```(console|conf)$/) { $kind = $1; $f = $kind eq "conf" ? piece("conf") : undef }
		}' "$work/steps" "$guide"
}

# told FILE: what was printed, with the names of places that the guide uses
told() {
	sed -i -e "s|$dir|/srv/sealgate|g" -e "s|$(cat "$SERVERS/slapd/uri")|ldaps://ldap.partner.example|g" \
		-e "s|by $(id -un) on|by root on|g" "$1"
}

# command FILE: the guide's, with our fingerprints in the place of its
command_of() {
	perl -e 'my %m; my $f;
		if (open($f, "<", shift)) { while (<$f>) { my ($g, $r) = split; $m{substr($g, 0, 8)} = $r } }
		local $/; $_ = <STDIN>; s/\b([0-9a-f]{8,})\b/$m{substr($1, 0, 8)} ? substr($m{substr($1, 0, 8)}, 0, length $1) : $1/ge; print' \
		"$work/known" <"$1"
}

# same WANT GOT: see above; what the guide calls each fingerprint is added to $work/known, lines of theirs and ours
same() {
	perl -CSD -Mutf8 -e '
		my ($wf, $gf, $kf) = @ARGV;
		my (%m, %back);
		my $k;
		my %long;
		if (open($k, "<", $kf)) {
			while (<$k>) { my ($g, $r) = split; my $gs = substr($g, 0, 8); $long{$gs} = $g; $m{$gs} = $r; $back{substr($r, 0, 8)} = $gs }
		}
		sub lines { open(my $f, "<:utf8", $_[0]) or die; my @l = <$f>; chomp @l; @l }
		sub plain { my $t = shift;
			$t =~ s/\b\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d(?:\.\d+)?Z)?/TIME/g;
			$t =~ s/(sealgate[a-z-]*)\[\d+\]/$1/g;
			$t =~ s/\b\d+ ms\b/MS/g;
			$t =~ s/\bage=\d+/AGE/g;
			$t }
		sub hex_same { my ($g, $r) = @_;
			my ($gs, $rs) = (substr($g, 0, 8), substr($r, 0, 8));
			return 0 if length $g != length $r || exists $m{$gs} && substr($m{$gs}, 0, 8) ne $rs || exists $back{$rs} && $back{$rs} ne $gs;
			return 0 if exists $long{$gs} && index($long{$gs}, $g) && index($g, $long{$gs});
			($m{$gs}, $long{$gs}) = ($r, $g) if !exists $m{$gs} || length $m{$gs} < length $r;
			$back{$rs} = $gs; 1 }
		sub line_same { my ($w, $g) = map { plain($_) } @_;
			my @hex; my $re = "";
			for my $part (split /(\[…\]|\b[0-9a-f]{8,}\b)/, $w) {
				if ($part eq "[…]") { $re .= ".*?" }
				elsif ($part =~ /^[0-9a-f]{8,}$/) { push @hex, $part; $re .= "([0-9a-f]{8,})" }
				else { $re .= quotemeta $part }
			}
			my @got = $g =~ /^$re$/ or return 0;
			for my $i (0 .. $#hex) { return 0 unless hex_same($hex[$i], $got[$i]) }
			1 }
		sub all_same { my ($w, $g) = @_; my ($i, $j) = (0, 0);
			while ($i < @$w) {
				if ($w->[$i] eq "[…]") {
					$i++;
					return 1 if $i == @$w;
					$j++ while $j < @$g && !line_same($w->[$i], $g->[$j]);
					return 0 if $j == @$g;
				} else { return 0 if $j >= @$g || !line_same($w->[$i], $g->[$j]); $i++; $j++ }
			}
			$j == @$g }
		my @w = lines($wf); my @g = lines($gf);
		pop @w while @w && $w[-1] eq ""; pop @g while @g && $g[-1] eq "";
		exit 1 unless all_same(\@w, \@g);
		open($k, ">", $kf) or die; print $k "$long{$_} $m{$_}\n" for keys %m;' "$1" "$2" "$work/known"
}

# named_as_before FILE: with the guide's own fingerprints where they are known; new ones keep theirs
named_as_before() {
	perl -e 'my ($kf, $f) = @ARGV; my (%back, $k, $in);
		if (open($k, "<", $kf)) { while (<$k>) { my ($g, $r) = split; $back{substr($r, 0, 8)} = $g } }
		open($k, ">>", $kf) or die; open($in, "<", $f) or die;
		while (<$in>) {
			s/\b([0-9a-f]{8})([0-9a-f]*)\b/
				my ($short, $all) = ($1, "$1$2");
				if (!$back{$short}) { $back{$short} = $all; print $k "$all $all\n" }
				length $back{$short} < length $all ? $all : substr($back{$short}, 0, length $all)
			/ge;
			print;
		}' "$work/known" "$1"
}

# write_back: what was printed becomes what the guide says, where it differed
write_back() {
	perl -CSD -Mutf8 -e '
		my ($dir, $n, $on, $kind, $skip) = (shift, 0, 0, "", 0);
		while (<>) {
			if ($kind) {
				if (/^```$/) { $kind = ""; $skip = 0; print; next }
				if ($kind eq "console" && /^\$ /) {
					$n++; $skip = 0; print;
					if (open(my $f, "<:utf8", sprintf("%s/%03d.new", $dir, $n))) { print while <$f>; $skip = 1 }
					next;
				}
				print unless $skip;
				next;
			}
			$on = /^## Ten difficult cases/ if /^## /;
			print;
			next unless $on;
			if (/^### / || /^<!-- world: (.*) -->$/) { $n++ }
			elsif (/^```(console|conf)$/) { $kind = $1; $n++ if $kind eq "conf" }
		}' "$work/steps" "$guide" >"$work/guide.new" && cp "$work/guide.new" "$guide"
}

# differs WANT GOT: the comparison can say no
differs() {
	: >"$work/known"
	printf '%b\n' "$1" >"$work/a"
	printf '%b\n' "$2" >"$work/b"
	! same "$work/a" "$work/b" || fail "\"$1\" and \"$2\" count as the same"
}
differs "used 0011223344556677 x" "not used 8811223344556677 x"
differs "used 0011223344556677\nused 0011223344556677" "used 8811223344556677\nused 9911223344556677"
differs "used 0011223344556677\nused 2211223344556677" "used 8811223344556677\nused 8811223344556677"
differs "one\n[…]\nthree" "one\ntwo"
differs "one" "one\ntwo"

begin
cut_up
compared=0
for step in "$work"/steps/*; do
	name=${step%.*}
	case "$step" in
	*.case)
		read -r title <"$step"
		: >"$work/known"
		;;
	*.conf)
		command_of "$step" >"$work/section"
		conf "$work/section"
		;;
	*.world)
		read -r words <"$step"
		# shellcheck disable=SC2086
		$words || fail "$title: $words"
		;;
	*.run)
		command=$(command_of "$step")
		(eval "$command") >"$name.got" 2>&1 </dev/null
		told "$name.got"
		compared=$((compared + 1))
		if ! same "$name.want" "$name.got"; then
			[ "${1:-}" = --write ] && named_as_before "$name.got" >"$name.new"
			[ "${1:-}" = --write ] || { fail "$title: \$ $command"; diff "$name.want" "$name.got"; }
		fi
		;;
	esac
done
[ $compared -ge 20 ] || fail "only $compared commands in the guide's chapter"
[ "${1:-}" = --write ] && write_back
cd "$work" || exit 70
finish
