// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// volume is a Secret as pods see it that mount it: each change comes late.
type volume struct {
	lag     time.Duration
	current atomic.Pointer[string]

	mu sync.Mutex
	// seen are the keys that the Secret has held, the latest last.
	seen []string
}

// follow brings the volume up to date until ctx is done.
func (v *volume) follow(ctx context.Context, c client.WithWatch, secret client.ObjectKey) error {
	watch, err := c.Watch(ctx, &corev1.SecretList{}, client.InNamespace(secret.Namespace),
		client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector(metav1.ObjectNameField, secret.Name)})
	if err != nil {
		return fmt.Errorf("watch the secret: %w", err)
	}
	defer watch.Stop()
	var updates sync.WaitGroup
	defer updates.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case event, ok := <-watch.ResultChan():
			if !ok {
				return fmt.Errorf("the watch of the secret ended")
			}
			changed, ok := event.Object.(*corev1.Secret)
			if !ok {
				return fmt.Errorf("watch the secret: %v", event.Object)
			}
			key := string(changed.Data[v1alpha1.SecretKeyAPIKey])
			if !v.notice(key) {
				continue
			}
			updates.Go(func() { v.bringUpToDate(ctx, key) })
		}
	}
}

// notice reports whether key is another one than before.
func (v *volume) notice(key string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.seen) > 0 && v.seen[len(v.seen)-1] == key {
		return false
	}
	v.seen = append(v.seen, key)
	return true
}

// keys returns the keys that the Secret has held, the latest last.
func (v *volume) keys() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]string(nil), v.seen...)
}

func (v *volume) bringUpToDate(ctx context.Context, key string) {
	timer := time.NewTimer(v.lag)
	defer timer.Stop()
	if v.current.CompareAndSwap(nil, &key) { // what a pod starts with
		return
	}
	select {
	case <-ctx.Done():
	case <-timer.C:
		v.current.Store(&key)
	}
}
