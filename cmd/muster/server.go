package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/muster-registry/muster/server"
	"github.com/muster-registry/muster/server/config"
)

func (a *app) serverCommand() *cobra.Command {
	var printConfig bool
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Run a registry server",
		Long: `Run a registry server until SIGINT or SIGTERM, which stop it gracefully: calls under
way are finished, clients go elsewhere. A second signal ends it at once.

Each setting may be given as a flag, in the environment (MUSTER_SERVER_..., such as
MUSTER_SERVER_DATA_DIR) or in a YAML file (--config). A flag goes before the
environment, that before the file, and that before the default.`,
		Example: `  muster server
  muster server --listen :7070 --data-dir /var/lib/muster
  MUSTER_SERVER_LOG_FORMAT=json muster server --config /etc/muster/server.yaml
  muster server --config server.yaml --print-config`,
		Args: arguments(0, 0, "muster server"),
	}
	config.AddFlags(cmd.Flags())
	cmd.Flags().BoolVar(&printConfig, "print-config", false, "print the effective configuration, and where each value came from, and exit")
	cmd.RunE = a.runE(func(ctx context.Context, _ []string) error {
		c, err := config.Load(config.Sources{Flags: cmd.Flags(), Environ: a.environ, Root: a.root})
		if err != nil {
			return fail(exitUsage, "%w", err)
		}
		if printConfig {
			return a.printConfig(c)
		}
		return a.serve(ctx, c.Config)
	})
	return cmd
}

func (a *app) printConfig(c *config.Effective) error {
	text, err := c.YAML()
	if err == nil {
		_, err = a.out.Write(text)
	}
	return err
}

// serve runs a server until the context ends or the server cannot go on.
func (a *app) serve(ctx context.Context, c config.Config) error {
	log := a.newLog(c)
	dir, err := filepath.Abs(c.DataDir)
	if err != nil {
		return fmt.Errorf("data-dir %s: %w", c.DataDir, err)
	}
	log.Info("muster server starts", "version", a.version, "data_dir", dir, "pid", os.Getpid())
	s, err := server.Open(server.Config{ //nolint:contextcheck // a store that opens is not to be interrupted
		DataDir: dir, Listen: c.Listen, ShutdownTimeout: c.ShutdownTimeout,
		History: c.History, Limits: c.Limits, Log: log, Version: a.version, TuneGC: true,
	})
	if err != nil {
		return oneLine(err)
	}
	stopProfiles, err := serveProfiles(ctx, c.Pprof, log)
	if err == nil {
		err = a.listenAndServe(ctx, s, c.Listen, log)
		stopProfiles()
	}
	if closed := s.Close(); closed != nil {
		err = errors.Join(err, fmt.Errorf("close the store: %w", closed))
	}
	if err != nil {
		return oneLine(err)
	}
	log.Info("stopped")
	return nil
}

func (a *app) listenAndServe(ctx context.Context, s *server.Server, address string, log *slog.Logger) error {
	v := s.Registry().View()
	log.Info("registry loaded", "cluster_id", s.Registry().ClusterID(), "epoch", v.Epoch, "revision", v.Revision, "instances", v.Instances())
	lis, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return listenError(address, err)
	}
	log.Info("listening", "grpc", lis.Addr().String())
	logged := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(logged)
		log.Info("stopping; a second signal stops at once")
	})
	defer func() {
		if !cancel() {
			<-logged
		}
	}()
	return s.Serve(ctx, lis)
}

// listenError says what to do about an address that cannot be used.
func listenError(address string, err error) error {
	cause, next := err, "choose another with --listen"
	var call *net.OpError
	if errors.As(err, &call) {
		cause = call.Err
	}
	var system *os.SyscallError
	if errors.As(err, &system) {
		cause = system.Err
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		next = "stop the other process, or " + next
	case errors.Is(err, syscall.EACCES):
		next = "ports below 1024 need a privilege; grant it, or " + next
	}
	return fmt.Errorf("listen on %s: %w; %s", address, cause, next)
}

// oneLine writes an error that has several lines as one.
func oneLine(err error) error {
	text := strings.ReplaceAll(err.Error(), "\n", "; ")
	return &failure{code: exitError, text: text, err: err}
}

func (a *app) newLog(c config.Config) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(a.err, options))
	}
	return slog.New(slog.NewTextHandler(a.err, options))
}
