// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"github.com/go-logr/logr"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// refusalLog logs invalid objects, at a bounded rate: whoever writes them must not be able
// to fill the log. All are in the metric, and in the status of each.
type refusalLog struct {
	log     logr.Logger
	kind    string
	limiter flowcontrol.PassiveRateLimiter
}

// newRefusalLog writes at most 20 lines at once, and then one each 5 seconds.
func newRefusalLog(log logr.Logger, kind string, clock clock.Clock) *refusalLog {
	return &refusalLog{log: log, kind: kind, limiter: flowcontrol.NewTokenBucketPassiveRateLimiterWithClock(0.2, 20, clock)}
}

// report logs why obj is refused, if it is.
func (l *refusalLog) report(obj client.Object, refusal string) {
	if refusal == "" || !l.limiter.TryAccept() {
		return
	}
	l.log.Info("refused an object; its keys are not accepted", "kind", l.kind,
		"namespace", obj.GetNamespace(), "name", obj.GetName(), "uid", obj.GetUID(), "refusal", refusal)
}
