package rpc

import (
	"encoding/base64"
	"strings"
	"testing"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// FuzzPageToken: whatever is sent as a token is refused, or names a place
// within the list that was asked for.
func FuzzPageToken(f *testing.F) {
	for _, s := range []string{"", "shop/pay", "shop/", "/", "a/b/c", "shop", "\xff/\x00"} {
		f.Add("shop", "p", base64.RawURLEncoding.EncodeToString([]byte(s)))
		f.Add("", "", s)
	}
	f.Fuzz(func(t *testing.T, namespace, prefix, token string) {
		from, err := startOfPage(&musterv1.ListServicesRequest{Namespace: namespace, Prefix: prefix, PageToken: token})
		if err != nil {
			return
		}
		if namespace != "" && from.Namespace != namespace || !strings.HasPrefix(from.Service, prefix) {
			t.Errorf("token %q begins at %v, outside of %s/%s*", token, from, namespace, prefix)
		}
		if token == "" {
			return
		}
		again := base64.RawURLEncoding.EncodeToString([]byte(from.String()))
		if next, err := startOfPage(&musterv1.ListServicesRequest{Namespace: namespace, Prefix: prefix, PageToken: again}); err != nil || next != from {
			t.Errorf("place %v does not survive its own token: %v, %v", from, next, err)
		}
	})
}
