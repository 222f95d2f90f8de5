package main

import (
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"
)

// The three forms that everything hashed is made of.

func u32(buf []byte, n uint32) []byte { return binary.LittleEndian.AppendUint32(buf, n) }
func u64(buf []byte, n uint64) []byte { return binary.LittleEndian.AppendUint64(buf, n) }
func str(buf []byte, s string) []byte { return append(u32(buf, uint32(len(s))), s...) } //nolint:gosec // short

// strs writes a set of strings.
func strs(buf []byte, list []string) []byte {
	list = sorted(list)
	buf = u32(buf, uint32(len(list))) //nolint:gosec // short
	for _, s := range list {
		buf = str(buf, s)
	}
	return buf
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

// decimal writes 64-bit numbers as the protobuf JSON mapping does.
func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

func hexOf(b []byte) string { return hex.EncodeToString(b) }
