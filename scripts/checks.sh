# Sourced by check.sh: one function per check. Each prints its findings and fails if there are any.
# shellcheck shell=bash

tracked() { git ls-files --cached --others --exclude-standard -- "$@" | while read -r f; do [[ ! -f $f ]] || echo "$f"; done; }

# Generated files are the generators' business; they say so in their first lines or lie here.
hand_written() { grep -vE '\.pb\.go$|^gen/rust/src/gen/|^gen/openapi/|^examples/(go/gen|rust/src/gen)/|^third_party/'; }

check_gofumpt() {
	scripts/tools.sh gofumpt
	local bad
	bad=$(tracked '*.go' | hand_written | xargs -r gofumpt -l)
	[[ -z $bad ]] || { echo "not formatted:" && echo "$bad" && return 1; }
}

check_golangci() {
	scripts/tools.sh golangci-lint
	local dirs module
	mapfile -t dirs < <(workspace_modules | sed 's|$|/...|; s|^[^.]|./&|')
	golangci-lint run "${dirs[@]}"
	for module in $(separate_modules); do
		(cd "$module" && GOWORK=off golangci-lint run --config "$ROOT/.golangci.yml" ./...)
	done
}

check_go_mod() {
	local module difference status=0
	for module in $(go_modules); do
		difference=$(cd "$module" && GOWORK=off go mod tidy -diff) && continue
		status=1
		# The lines of go.sum follow from those of go.mod.
		sed '/^diff .*go.sum/,$d' <<<"$difference"
		echo "$module/go.mod is not tidy"
	done
	return "$status"
}

# What a user gets who has no workspace.
check_go_modules() {
	local module
	for module in $(go_modules); do
		(cd "$module" && GOWORK=off go build -o /dev/null ./...) || { echo "$module does not build with GOWORK=off"; return 1; }
	done
}

check_rustfmt() { cargo fmt --all --check; }

check_clippy() {
	cargo clippy --quiet --locked --workspace --all-targets --all-features -- -D warnings
}

# Each library with no feature and with each feature alone.
check_crate_features() {
	local crate feature
	for crate in gen/rust client-rust client-rust/rules client-rust/otel; do
		for feature in "" $(crate_features "$crate/Cargo.toml"); do
			(cd "$crate" && cargo clippy --quiet --locked --no-default-features --features "$feature" -- -D warnings) ||
				{ echo "$crate does not pass with the features [$feature]"; return 1; }
		done
	done
}

# The libraries build with the oldest compiler that Cargo.toml promises. It is installed if it is
# missing, and what it builds is kept apart from what the toolchain of the project builds.
check_msrv() {
	need rustup "to install the oldest supported compiler"
	local oldest
	oldest=$(sed -n 's/^rust-version = "\(.*\)"/\1.0/p' Cargo.toml)
	rustup run "$oldest" rustc --version >/dev/null 2>&1 || rustup toolchain install "$oldest" --profile minimal --no-self-update
	CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/msrv CARGO_INCREMENTAL=0 RUSTUP_TOOLCHAIN=$oldest \
		cargo check --quiet --locked --all-features \
		--package muster-proto --package muster-rules --package muster-client --package muster-client-otel
}

crate_features() {
	awk '/^\[/ { on = ($0 == "[features]") } on && /^"?[a-z0-9_-]+"? *=/ { gsub(/"/, "", $1); if ($1 != "default") print $1 }' "$1"
}

check_rustdoc() {
	RUSTDOCFLAGS="-D warnings" cargo doc --quiet --locked --workspace --all-features --no-deps
}

check_buf_format() {
	scripts/tools.sh buf
	local module
	for module in proto examples/proto; do
		[[ ! -d $module ]] || buf format --diff --exit-code "$module"
	done
}

check_buf_lint() {
	scripts/tools.sh buf
	buf lint
}

check_buf_breaking() {
	scripts/tools.sh buf
	local released=proto/released/muster.v1.binpb
	[[ -f $released ]] || { echo "$released is missing: make release-image records it"; return 1; }
	local now
	now=$(mktemp --suffix .binpb)
	buf build proto --path proto/muster/v1 --exclude-source-info -o "$now"
	buf breaking "$now" --against "$released"
	rm -f "$now"
}

check_generated() { scripts/generate.sh --check; }

# The clients offer the same, and docs/api-parity.md shows it.
check_api_parity() { scripts/api-parity.sh; }

check_cargo_deny() {
	scripts/tools.sh cargo-deny
	cargo deny --offline --all-features --log-level error check --hide-inclusion-graph bans licenses sources
}

check_words() { scripts/check-words.sh; }

# A hand-written file above 600 lines holds more than one idea.
check_sizes() {
	local long
	long=$(tracked '*.go' '*.rs' '*.sh' | hand_written | xargs -r wc -l | awk '$2 != "total" && $1 > 600')
	[[ -z $long ]] || { echo "longer than 600 lines:" && echo "$long" && return 1; }
}

check_scripts() {
	local script
	for script in $(tracked '*.sh') .ci/run; do
		bash -n "$script"
	done
	if command -v shellcheck >/dev/null; then
		tracked '*.sh' | xargs -r shellcheck -x
	fi
}
