package mustergrpc

import (
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	"github.com/muster-registry/muster/client-go"
	"github.com/muster-registry/muster/client-go/internal/rules"
)

// ReasonOf returns why a call through a channel failed, of its
// google.rpc.ErrorInfo: NO_VIEW, NO_INSTANCES, NO_READY_ENDPOINT and the like. It
// is "" if the error has none of Muster's, as most errors of the called service.
// [muster.ReasonOf] does the same for errors of the client itself.
func ReasonOf(err error) muster.Reason {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == rules.ErrorDomain {
			return muster.Reason(info.GetReason())
		}
	}
	return ""
}
