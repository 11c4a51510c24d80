#!/bin/sh
# Makes an installable package of a cross-built static binary, without OpenWrt's SDK.
#
#   openwrt/pack.sh BINARY ARCHITECTURE [ipk|apk]
#
# ARCHITECTURE is OpenWrt's (`opkg print-architecture` or `apk --print-arch` on the device: mipsel_24kc,
# aarch64_cortex-a53, ...). The package is written to the current folder, or to $OUT, and its name printed. `ipk` is
# for releases up to 24.10; `apk`, for later ones, needs `apk` of apk-tools 3 ($APK, or in the path) and root or
# fakeroot, since it writes down who owns the files. The same input gives the same bytes ($SOURCE_DATE_EPOCH is the
# time of all files).
set -eu

usage() {
	sed -n 's/^# \{0,1\}//; 4,10p' "$0" >&2
	exit 2
}

case $# in 2 | 3) ;; *) usage ;; esac
binary=$1
arch=$2
form=${3:-ipk}
here=$(cd "$(dirname "$0")" && pwd)
out=${OUT:-.}
time=${SOURCE_DATE_EPOCH:-0}
name=cwmpd
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$here/../Cargo.toml" | head -n 1)-r1
title='TR-069 (CWMP) agent'

case "$arch" in '' | *[!A-Za-z0-9_.+-]*) usage ;; esac
case "$form" in ipk | apk) ;; *) usage ;; esac
[ -f "$binary" ] || {
	echo "$binary: no such file" >&2
	exit 1
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# The files as they lie on the device, with their modes whatever umask and checkout made of them.
data=$work/data
mkdir "$data"
cp -R "$here/files/." "$data/"
mkdir -p "$data/usr/sbin"
cp "$binary" "$data/usr/sbin/$name"
find "$data" -type d -exec chmod 755 {} +
find "$data" -type f ! -perm -u=x -exec chmod 644 {} +
find "$data" -type f -perm -u=x -exec chmod 755 {} +
chmod 755 "$data/usr/sbin/$name"
chmod 600 "$data/etc/config/$name"

# What is done after installing and before removing is OpenWrt's own: services enabled and started, uci-defaults run.
# `script KIND` is what the package manager runs.
script() {
	cat <<'EOF'
#!/bin/sh
[ "${IPKG_NO_SCRIPT}" = "1" ] && exit 0
[ -s "${IPKG_INSTROOT}/lib/functions.sh" ] || exit 0
. "${IPKG_INSTROOT}/lib/functions.sh"
EOF
	if [ "$form" = ipk ]; then
		echo "default_$1 \"\$0\" \"\$@\""
		return
	fi
	# There the name of the script says nothing.
	cat <<'EOF'
export root="${IPKG_INSTROOT}"
export pkgname="cwmpd"
EOF
	if [ "$1" = postinst ]; then echo add_group_and_user; else undo; fi
	echo "default_$1"
}

# What is done before it is removed, but not before an upgrade.
undo() {
	cat <<'EOF'
[ -n "${IPKG_INSTROOT}" ] || [ "${PKG_UPGRADE}" = 1 ] || /usr/lib/cwmpd/dhcp-setup undo || true
EOF
}

# archive FOLDER FILE: a tar file of it that is the same every time, packed.
archive() {
	tar -C "$1" --format=gnu --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$time" -cf "$work/tar" .
	gzip -n -9 <"$work/tar" >"$2"
}

ipk() {
	control=$work/control
	package=$work/package
	mkdir "$control" "$package"
	size=$(find "$data" -type f -exec cat {} + | wc -c | tr -d ' ')
	cat >"$control/control" <<EOF
Package: $name
Version: $version
Depends: ca-bundle
License: MIT OR Apache-2.0
Section: net
Architecture: $arch
Installed-Size: $size
Description: $title
EOF
	echo "/etc/config/$name" >"$control/conffiles"
	script postinst >"$control/postinst"
	script prerm >"$control/prerm"
	{
		echo '#!/bin/sh'
		undo
		echo 'exit 0'
	} >"$control/prerm-pkg"
	chmod 644 "$control/control" "$control/conffiles"
	chmod 755 "$control/postinst" "$control/prerm" "$control/prerm-pkg"
	chmod 755 "$control" "$package"
	archive "$control" "$package/control.tar.gz"
	archive "$data" "$package/data.tar.gz"
	echo 2.0 >"$package/debian-binary"
	chmod 644 "$package"/*
	file=$out/${name}_${version}_$arch.ipk
	archive "$package" "$file"
}

apk() {
	tool=${APK:-apk}
	case $("$tool" --version 2>/dev/null) in
	'apk-tools 3'*) ;;
	*)
		echo "$tool: apk of apk-tools 3 is needed to write an .apk (set APK)" >&2
		exit 1
		;;
	esac
	# What default_postinst and sysupgrade want to know of the package.
	lists=$data/lib/apk/packages
	mkdir -p "$lists"
	(cd "$data" && find . -type f ! -path './lib/apk/*' | sed 's/^\.//' | LC_ALL=C sort) >"$work/list"
	cp "$work/list" "$lists/$name.list"
	echo "/etc/config/$name" >"$lists/$name.conffiles"
	sum=$(sha256sum "$data/etc/config/$name" | cut -d ' ' -f 1)
	echo "/etc/config/$name $sum" >"$lists/$name.conffiles_static"
	chmod 644 "$lists"/*
	find "$data/lib/apk" -type d -exec chmod 755 {} +
	find "$data" -exec touch -h -d "@$time" {} +
	if [ "$(id -u)" = 0 ]; then chown -R 0:0 "$data"; fi
	script postinst >"$work/post-install"
	script prerm >"$work/pre-deinstall"
	file=$out/$name-$version.apk
	SOURCE_DATE_EPOCH=$time "$tool" mkpkg --files "$data" --output "$file" \
		--info "name:$name" --info "version:$version" --info "arch:$arch" --info "description:$title" \
		--info 'license:MIT OR Apache-2.0' --info "origin:$name" --info 'depends:ca-bundle' \
		--info "build-time:$time" \
		--script "post-install:$work/post-install" --script "pre-deinstall:$work/pre-deinstall"
}

mkdir -p "$out"
"$form"
echo "$file"
