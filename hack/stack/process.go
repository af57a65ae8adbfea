// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
)

const (
	// readyTimeout bounds the start of one program. It takes about a second; a
	// machine that does other work too may need longer.
	readyTimeout = time.Minute
	// readyInterval is how often a program is asked whether it is ready.
	readyInterval = 20 * time.Millisecond
	// podInterval is how often it is tried to make a pod.
	podInterval = 200 * time.Millisecond
)

// Process is a program of the product, or one that NewProcess was told. It can be ended and started again any
// number of times. Its methods may be called from several goroutines.
type Process struct {
	// Name tells it from the others: manager, authserver-1, ….
	Name string
	// LogPath is where its standard error goes, of all its runs.
	LogPath string
	// OutputPath is where its standard output goes: the manager's audit trail.
	OutputPath string
	// Link is what it reaches the API server through; nil without Options.Links.
	Link *Link

	// ready reports whether it does what it was started for.
	ready func(context.Context) (bool, error)

	// enter makes a pod for the program to be, and returns its UID; nil for a program
	// that no pod has to be there for.
	enter func(context.Context) (types.UID, error)

	mu sync.Mutex
	// launching and podUID are for the next start. podUID is empty while the pod that
	// enter makes is still to be made.
	launching Launch
	podUID    string
	// current is nil while it is not meant to run.
	current *run
}

// Launch is how a program is started.
type Launch struct {
	// Path of the program.
	Path string
	// Args come after its name.
	Args []string
	// Env comes after this process' environment.
	Env []string
	// DiesOfTerm says that the program does not handle SIGTERM, so that to die of it
	// is a graceful end.
	DiesOfTerm bool
}

// NewProcess returns a process that runs another program than the product's, such
// as a gateway before it, with its logs in the folder dir. ready is asked, from the
// start on, until it says yes.
func NewProcess(name, dir string, launching Launch, ready func(context.Context) (bool, error)) *Process {
	return &Process{
		Name:       name,
		LogPath:    filepath.Join(dir, name+".log"),
		OutputPath: filepath.Join(dir, name+".out"),
		ready:      ready,
		launching:  launching,
	}
}

// run is one life of a process.
type run struct {
	cmd *exec.Cmd
	// mayDie is Launch.DiesOfTerm.
	mayDie bool
	// done is closed when it has ended.
	done chan struct{}
}

// Start starts the program, and returns when it is ready.
func (p *Process) Start(ctx context.Context) error {
	if err := p.enterPod(ctx); err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	p.mu.Lock()
	if p.current != nil {
		p.mu.Unlock()
		return fmt.Errorf("start %s: it was started already", p.Name)
	}
	current, err := p.launch()
	p.current = current
	p.mu.Unlock()
	if err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	if err := p.awaitReady(ctx, current); err != nil {
		err = fmt.Errorf("start %s: %w\n%s", p.Name, err, p.LogTail())
		return errors.Join(err, p.Kill())
	}
	return nil
}

// enterPod makes the pod that the program is going to be, if there is none yet. It goes on
// trying while the API server is away, as whoever makes pods in a cluster does.
func (p *Process) enterPod(ctx context.Context) error {
	if p.enter == nil || p.PodUID() != "" {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("no pod in %s", readyTimeout))
	defer cancel()
	ticker := time.NewTicker(podInterval)
	defer ticker.Stop()
	for {
		uid, err := p.enter(ctx)
		if err == nil {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.podUID = string(uid)
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}

// launch starts the program in a process group of its own, so that an interrupt in
// the terminal reaches this process alone, which then ends everything in order.
func (p *Process) launch() (*run, error) {
	log, err := openLog(p.LogPath)
	if err != nil {
		return nil, err
	}
	output, err := openLog(p.OutputPath)
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	r := &run{cmd: exec.Command(p.launching.Path, p.launching.Args...), mayDie: p.launching.DiesOfTerm, done: make(chan struct{})}
	r.cmd.Env = append(append(os.Environ(), p.launching.Env...), p.podEnv()...)
	r.cmd.Stdout, r.cmd.Stderr = output, log
	r.cmd.SysProcAttr = diesWithParent()

	started := make(chan error, 1)
	go func() {
		// What the kernel watches is the thread that starts the program. It has to
		// live as long as the program does.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := r.cmd.Start()
		started <- err
		if err == nil {
			_ = r.cmd.Wait() // The state says it, too.
		}
		_, _ = log.Close(), output.Close()
		close(r.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return r, nil
}

// podEnv tells the program which pod it is in, if it is in one.
func (p *Process) podEnv() []string {
	if p.podUID == "" {
		return nil
	}
	return []string{"POD_UID=" + p.podUID}
}

func openLog(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

// awaitReady asks until the program is ready.
func (p *Process) awaitReady(ctx context.Context, r *run) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("not ready in %s", readyTimeout))
	defer cancel()
	ticker := time.NewTicker(readyInterval)
	defer ticker.Stop()
	for {
		ready, err := p.ready(ctx)
		if ready {
			return nil
		}
		select {
		case <-r.done:
			return fmt.Errorf("it ended: %s", r.cmd.ProcessState)
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}

// answers is the readiness of the product's programs: their /readyz says 200.
func answers(url string) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) { return get(ctx, url) }
}

// get reports whether the URL answers 200.
func get(ctx context.Context, url string) (bool, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false, err
	}
	return response.StatusCode == http.StatusOK, response.Body.Close()
}

// Stop ends the program gracefully, also if it is paused; when ctx ends before it
// does, it is killed, and that is an error. One that is not meant to run is none.
func (p *Process) Stop(ctx context.Context) error {
	r := p.take()
	if r == nil {
		return nil
	}
	select {
	case <-r.done:
		return fmt.Errorf("stop %s: it had ended before: %s\n%s", p.Name, r.cmd.ProcessState, p.LogTail())
	default:
	}
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	_ = r.cmd.Process.Signal(syscall.SIGCONT)
	select {
	case <-r.done:
	case <-ctx.Done():
		_ = r.cmd.Process.Kill()
		<-r.done
		return fmt.Errorf("stop %s: killed: %w", p.Name, context.Cause(ctx))
	}
	if !r.cmd.ProcessState.Success() && !r.diedOfTerm() {
		return fmt.Errorf("stop %s: %s\n%s", p.Name, r.cmd.ProcessState, p.LogTail())
	}
	return nil
}

// diedOfTerm reports whether the program ended as one may that does not handle SIGTERM.
func (r *run) diedOfTerm() bool {
	status, ok := r.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return r.mayDie && ok && status.Signaled() && status.Signal() == syscall.SIGTERM
}

// Kill ends the program at once, as the failure of a node does.
func (p *Process) Kill() error {
	r := p.take()
	if r == nil {
		return nil
	}
	err := r.cmd.Process.Kill()
	<-r.done
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", p.Name, err)
	}
	return nil
}

// NewPod has the next start be that of another pod: its UID is another one, so
// that nothing of the former process is taken over.
func (p *Process) NewPod() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.podUID = ""
	if p.enter == nil {
		p.podUID = string(uuid.NewUUID())
	}
}

// PodUID is the UID of the pod that it was started as. An auth server's Lease bears it. It
// is empty from NewPod to the next start.
func (p *Process) PodUID() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.podUID
}

// PID is the process ID; 0 if it is not meant to run.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil {
		return 0
	}
	return p.current.cmd.Process.Pid
}

// Change has the next start be another one: of another program, say, or with more
// flags.
func (p *Process) Change(change func(*Launch)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := p.launching
	next.Args, next.Env = slices.Clone(next.Args), slices.Clone(next.Env)
	change(&next)
	p.launching = next
}

// Ended is closed when the program, as it was started last, has ended; it is closed
// already if it is not meant to run.
func (p *Process) Ended() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil {
		ended := make(chan struct{})
		close(ended)
		return ended
	}
	return p.current.done
}

// take makes the process one that is not meant to run, and returns its life.
func (p *Process) take() *run {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.current
	p.current = nil
	return r
}

// Pause holds the program still, as a stopped virtual machine is, until Resume. The
// signal for it is on its way when Pause returns.
func (p *Process) Pause() error { return p.signal(syscall.SIGSTOP) }

// Resume lets a paused program go on.
func (p *Process) Resume() error { return p.signal(syscall.SIGCONT) }

func (p *Process) signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil {
		return fmt.Errorf("send %s to %s: it does not run", s, p.Name)
	}
	if err := p.current.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("send %s to %s: %w", s, p.Name, err)
	}
	return nil
}

// LogTail returns the last lines of the log, for an error message.
func (p *Process) LogTail() string {
	const lines = 15
	data, err := os.ReadFile(p.LogPath)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(data)), "\n")
	return fmt.Sprintf("last lines of %s's log:\n%s", p.Name, strings.Join(all[max(0, len(all)-lines):], "\n"))
}
