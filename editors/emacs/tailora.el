;;; tailora.el --- Tailora, a code model of your own, by Eglot  -*- lexical-binding: t -*-

;; SPDX-License-Identifier: Apache-2.0
;; Version: 0.1.0
;; Package-Requires: ((emacs "28.1") (eglot "1.9"))
;; Keywords: tools, languages, convenience

;;; Commentary:

;; Suggestions of a language model that runs on this machine and learns your
;; repositories, by completion at point; and fixes that were tried before they
;; are offered.  In your init file:
;;
;;   (require 'tailora)
;;   (tailora-setup 'python-mode)
;;
;; Eglot runs one server for a major mode in a project, so in these modes
;; Tailora takes the place of the server that Eglot would run otherwise.

;;; Code:

(require 'cl-lib)
(require 'eglot)
(require 'flymake)
(require 'jsonrpc)
(require 'subr-x)

(defgroup tailora nil
  "A code model of your own, by Eglot."
  :group 'tools
  :prefix "tailora-")

(defcustom tailora-command '("tailora" "lsp")
  "What starts the language server."
  :type '(repeat string))

(defcustom tailora-trusted nil
  "Whether your repositories are trusted, so that Tailora may learn them.
Either t, or a list of folders: what lies in them is trusted."
  :type '(choice (const :tag "None" nil)
                 (const :tag "All" t)
                 (repeat :tag "Those in" directory)))

(defcustom tailora-settings nil
  "Further settings, as nested property lists: (:completion (:maxLines 6)).
They go before those of your config.toml; see docs/settings.md."
  :type 'sexp)

(defcustom tailora-fix-timeout 120
  "Seconds that `tailora-fix' waits at most."
  :type 'integer)

(defclass tailora-server (eglot-lsp-server)
  ((status :initform nil :accessor tailora--status
           :documentation "What the server last said of itself."))
  :documentation "A connection to Tailora.")

;;;###autoload
(defun tailora-setup (&rest modes)
  "Make Tailora the language server that Eglot runs in the major MODES."
  (add-to-list 'eglot-server-programs (cons modes #'tailora--contact))
  (add-to-list 'mode-line-misc-info
               '(eglot--managed-mode (:eval (tailora--mode-line))) t)
  (add-hook 'kill-emacs-hook #'tailora--shut-down))

(defun tailora--contact (&optional _interactive)
  "Return what Eglot is to start."
  `(tailora-server ,@tailora-command
                   :initializationOptions ,(tailora--options)))

(defun tailora--options ()
  "Return the settings of the current project."
  (let ((completion (plist-get tailora-settings :completion))
        (learning (plist-get tailora-settings :learning))
        (others (copy-sequence tailora-settings)))
    (unless (plist-member completion :popup)
      (setq completion (append '(:popup t) completion)))
    (when (tailora--trusted-p default-directory)
      (setq learning (append '(:trusted t) learning)))
    (setq others (plist-put others :completion completion))
    (if learning (plist-put others :learning learning) others)))

(defun tailora--trusted-p (folder)
  "Return whether FOLDER is trusted."
  (if (listp tailora-trusted)
      (cl-some (lambda (parent)
                 (file-in-directory-p folder (expand-file-name parent)))
               tailora-trusted)
    tailora-trusted))

(defun tailora--server ()
  "Return the server of this buffer; an error where that is not Tailora."
  (let ((server (eglot-current-server)))
    (unless (cl-typep server 'tailora-server)
      (user-error "Tailora does not run in this buffer; see `tailora-setup'"))
    server))

(defun tailora--shut-down ()
  "Tell every Tailora to end; Eglot by itself would just hang up."
  (dolist (server (apply #'append (hash-table-values eglot--servers-by-project)))
    (when (cl-typep server 'tailora-server)
      (ignore-errors (eglot-shutdown server nil 2 t)))))

(cl-defmethod eglot-client-capabilities :around ((_server tailora-server))
  "Add that the edit of a chosen action is asked for, as `tailora-fix' does."
  (let* ((all (copy-sequence (cl-call-next-method)))
         (text (copy-sequence (plist-get all :textDocument)))
         (action (plist-get text :codeAction)))
    (unless (plist-member action :resolveSupport)
      (setq action (append action '(:dataSupport t
                                    :resolveSupport (:properties ["edit"])))))
    (plist-put all :textDocument (plist-put text :codeAction action))))

;;;; Status

(cl-defmethod eglot-handle-notification
  ((server tailora-server) (_method (eql tailora/status)) &rest status)
  "Show STATUS of SERVER in the mode line."
  (setf (tailora--status server) status)
  (force-mode-line-update t))

(defun tailora--mode-line ()
  "Return the part of the mode line about Tailora."
  (when-let* ((server (eglot-current-server))
              ((cl-typep server 'tailora-server)))
    (let* ((status (tailora--status server))
           (state (plist-get status :state))
           (reason (plist-get (plist-get status :suggestion) :reason))
           (text (if (member state '(nil "ready"))
                     "Tailora"
                   (concat "Tailora:" (string-replace "_" " " state)))))
      (concat " "
              (propertize
               text 'help-echo
               (string-join (delq nil (list (plist-get status :message) reason))
                            "\n"))))))

;;;; Commands

(defun tailora--execute (command &rest arguments)
  "Return the answer to COMMAND with ARGUMENTS, and show its message."
  (let ((answer (jsonrpc-request
                 (tailora--server) :workspace/executeCommand
                 (list :command command :arguments (vconcat arguments))
                 :timeout 60)))
    ;; What went wrong was shown by the server.
    (unless (eq (plist-get answer :ok) :json-false)
      (message "Tailora: %s" (plist-get answer :message)))
    answer))

(defun tailora-status ()
  "Show what Tailora is doing, and why it last suggested nothing."
  (interactive)
  (let* ((answer (tailora--execute "tailora.status"))
         (reason (plist-get (plist-get answer :suggestion) :reason)))
    (when reason
      (message "Tailora: %s; nothing was suggested last: %s"
               (plist-get answer :message) reason))
    answer))

(defun tailora-train ()
  "Learn this project now, in the background."
  (interactive)
  (tailora--execute "tailora.trainNow"))

(defun tailora-pause ()
  "Stop learning this project until `tailora-resume'."
  (interactive)
  (tailora--execute "tailora.pauseLearning"))

(defun tailora-resume ()
  "Go on learning this project."
  (interactive)
  (tailora--execute "tailora.resumeLearning"))

(defun tailora-roll-back ()
  "Go back to the version of this project's adapter that served before."
  (interactive)
  (when (or noninteractive (yes-or-no-p "Go back to the version before? "))
    (tailora--execute "tailora.rollBack")))

(defun tailora-adapters ()
  "List what was learned of this project, and what became of its suggestions."
  (interactive)
  (let* ((answer (tailora--execute "tailora.adapters"))
         (rows (mapcar #'tailora--adapter-row (plist-get answer :versions))))
    (when rows
      (with-current-buffer (get-buffer-create "*Tailora adapters*")
        (tabulated-list-mode)
        (setq tabulated-list-format
              [("Version" 8 nil) ("Status" 10 nil) ("Made" 17 nil)
               ("Files" 6 nil) ("Loss" 15 nil) ("Accepted" 10 nil)
               ("Why" 0 nil)]
              tabulated-list-entries (reverse rows))
        (tabulated-list-init-header)
        (tabulated-list-print)
        (display-buffer (current-buffer))))
    answer))

(defun tailora--adapter-row (version)
  "Return VERSION as an entry of a `tabulated-list-mode' buffer."
  (let ((number (plist-get version :version))
        (before (plist-get version :base_nll))
        (after (plist-get version :candidate_nll))
        (acceptance (plist-get version :acceptance)))
    (list number
          (vector number
                  (or (plist-get version :status) "")
                  (string-replace
                   "T" " " (string-limit (or (plist-get version :created) "") 16))
                  (format "%s" (or (plist-get version :files) ""))
                  (if (and before after) (format "%.3f → %.3f" before after) "")
                  (if acceptance (format "%.0f %%" (* 100 acceptance)) "")
                  (or (plist-get version :reason) "")))))

;;;; Fixes

(defun tailora-fix (beg end)
  "Find a fix for what is wrong in this line, or another version of the region.
What is wrong is what Flymake shows, whichever backend found it.  A fix
is tried before it is offered, which takes seconds.

Called from Lisp, BEG and END bound the lines."
  (interactive (if (use-region-p)
                   (list (region-beginning) (region-end))
                 (list (line-beginning-position) (line-end-position))))
  (let* ((server (tailora--server))
         (found (unless (use-region-p) (flymake-diagnostics beg end)))
         (actions (jsonrpc-request
                   server :textDocument/codeAction
                   (list :textDocument (eglot--TextDocumentIdentifier)
                         :range (tailora--range beg end)
                         :context
                         (list :diagnostics
                               (vconcat (mapcar #'tailora--diagnostic found))
                               :triggerKind 1))
                   :deferred :textDocument/codeAction))
         (chosen (tailora--choose actions))
         (edit (plist-get chosen :edit)))
    (unless edit
      (message "%s ..." (plist-get chosen :title))
      (setq chosen (jsonrpc-request server :codeAction/resolve chosen
                                    :timeout tailora-fix-timeout)
            edit (plist-get chosen :edit)))
    (when edit  ; without one, the server has said why
      (eglot--apply-workspace-edit
       edit (and (boundp 'eglot-confirm-server-edits) this-command))
      (message "%s" (plist-get chosen :title)))))

(defun tailora--choose (actions)
  "Return one of ACTIONS; where there are several, the user is asked."
  (let ((menu (mapcar (lambda (action) (cons (plist-get action :title) action))
                      actions)))
    (cond ((null menu) (user-error "Tailora has nothing to offer here"))
          ((cdr menu)
           (cdr (assoc (completing-read "Fix: " menu nil t nil nil (caar menu))
                       menu)))
          (t (cdar menu)))))

(defun tailora--range (beg end)
  "Return the protocol's range from BEG to END."
  (save-excursion
    (list :start (eglot--pos-to-lsp-position beg)
          :end (eglot--pos-to-lsp-position end))))

(defun tailora--diagnostic (found)
  "Return what Flymake FOUND as the protocol's diagnostic."
  (let* ((data (flymake-diagnostic-data found))
         (text (flymake-diagnostic-text found))
         (case-fold-search nil)
         ;; As ruff, flake8 and their like print it: "F821 Undefined name".
         (code (and (string-match "\\`\\([A-Z]+[0-9]+\\):? \\(\\[\\*\\] \\)?" text)
                    (match-string 1 text))))
    (or (and (consp data) (cdr (assq 'eglot-lsp-diag data)))
        `(:range ,(tailora--range (flymake-diagnostic-beg found)
                                  (flymake-diagnostic-end found))
          :severity ,(pcase (flymake-diagnostic-type found)
                       ((or :error 'eglot-error) 1)
                       (_ 2))
          :source ,(tailora--source (flymake-diagnostic-backend found))
          ,@(and code (list :code code))
          :message ,(if code (substring text (match-end 0)) text)))))

(defvar python-flymake-command)

(defun tailora--source (backend)
  "Return the name of the checker that a Flymake BACKEND asks."
  (if (and (eq backend 'python-flymake) (bound-and-true-p python-flymake-command))
      (file-name-base (car python-flymake-command))
    (replace-regexp-in-string
     "\\`flymake-\\|-?flymake.*\\'\\|--.*\\'" "" (format "%s" backend))))

(provide 'tailora)
;;; tailora.el ends here
