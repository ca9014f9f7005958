"""The page in Japanese, written for itself: what a manager asks, in the order in which it is asked."""

from tailora.poc.decide import Rule, Verdict
from tailora.poc.texts.shape import Risk, Stage, Texts
from tailora.poc.texts.writing import Writing

__all__ = ["TEXTS", "WRITING"]

WRITING = Writing(
    language="ja",
    percent="%",
    points="ポイント",
    to="～",
    brackets=("（", "）"),
    comma="、",
    second="秒",
    minute="分",
    hour="時間",
    bit="ビット",
    watt_hour="Wh",
    currencies={"JPY": "円", "EUR": "ユーロ", "USD": "ドル"},
    currency="JPY",
    day=lambda day: f"{day.year}年{day.month}月{day.day}日",
)

TEXTS = Texts(
    title="{repository} 専用コード補完の導入検証（PoC）報告書",
    lead=(
        "Tailora は、社内のパソコンで動くモデルを使って、入力中のコードの続きを提案するツールです。"
        "本書は、このリポジトリをモデルに追加学習させる価値があるかどうかを、"
        "このパソコンで実際に試した結果から判断したものです。"
    ),
    date="実施日",
    repository="対象リポジトリ",
    model="使用モデル",
    machine="検証環境",
    machine_value="{processor}、{cores}コア、メモリ {memory}、{gpu}",
    no_gpu="GPUなし",
    recommendation="結論",
    verdicts={
        Verdict.STOP: "見送りを推奨します。現状の {repository} では、追加学習の効果が見込めません。",
        Verdict.EXTEND: "検証の継続を推奨します。導入を決めるには、まだ根拠が足りません。",
        Verdict.ROLL_OUT: "段階的な展開を推奨します。まずは利用者に影響の出ない第1段階から始めます。",
    },
    nexts={
        Verdict.STOP: (
            "追加学習なしの補完機能は、このままでも利用できます（`learning.enabled` を `false` に設定）。"
            "リポジトリが大きく変わった時点で、あらためて検証してください。"
        ),
        Verdict.EXTEND: (
            "`--minutes` を増やし、同じ `--work` を指定して `tailora poc` を再度実行すると、続きから検証が進みます。"
            "何が足りないかは、下の「判断の根拠」に示します。"
        ),
        Verdict.ROLL_OUT: (
            "各段階には、次へ進むための条件と、元に戻す手順を定めています（「段階的な展開」の章を参照）。"
        ),
    },
    next_all_tried=(
        "予定していた検証はすべて終えました。設問を増やすと、よりはっきりします（{command}）。"
        "何が足りないかは、下の「判断の根拠」に示します。"
    ),
    chosen="推奨する学習方式と設定：{method}、学習率 {rate}。その他は標準設定のままとします。",
    why="判断の根拠",
    why_gain=(
        "効果：学習に使っていない検証用のコードで、"
        "予測の誤差（損失）が{loss_before}から{loss_after}へ{loss_by}減りました"
        "（95%信頼区間{loss_low}～{loss_high}、設問{cases}か所、学習{seeds}回）。"
    ),
    why_no_gain=(
        "効果：学習に使っていない検証用のコードで、予測の誤差（損失）の変化は{loss_change}でした"
        "（95%信頼区間{loss_change_low}～{loss_change_high}、設問{cases}か所、学習{seeds}回）。"
        "偶然とは言えないほどの減少は、確認できませんでした。"
    ),
    why_visible=(
        "利用者から見た変化：一字一句正しく補完できた割合は{exact}（95%信頼区間{exact_low}～{exact_high}）、"
        "正解との類似度は{similar}（同{similar_low}～{similar_high}）変化しました。"
    ),
    why_no_answers="利用者から見た変化：測定記録に含まれていないため、分かりません。",
    why_side=(
        "副作用と手間：ほかのリポジトリのコードでの損失の変化は{forgetting}です。{told}。"
        "学習と評価にかかった時間は、1回あたり{run_time}でした。"
    ),
    why_cost="自社の機器で運用する場合の月額は、利用者{users}人で{own}{lacks}です。",
    why_not_more="導入に進めない理由",
    why_nothing="学習と評価を実施できなかったため、効果を示す数値はありません。",
    reasons={
        Rule.TOO_SMALL: (
            "リポジトリが小さすぎます。学習に使えるファイルが{files}個しかなく、"
            "学習用・調整用・検証用の三つに分けられません。"
            "この規模では、どんな数値も判断材料になりません。"
        ),
        Rule.ALL_FAILED: "どの候補も学習を完了できませんでした。原因は「試した内容」の表に示します。",
        Rule.NO_GAIN: (
            "損失が減ったとは言い切れません。変化の信頼区間は{loss_change_low}～{loss_change_high}、"
            "候補の数を考慮して補正したp値は{p}です。"
        ),
        Rule.WORSE: (
            "補完の質が、偶然とは言えない程度に下がりました。完全一致は{exact}（{exact_low}～{exact_high}）、"
            "類似度は{similar}（{similar_low}～{similar_high}）です。"
        ),
        Rule.INSECURE: "セキュリティ検査での指摘が、偶然とは言えない程度に増えました（{insecure}）。",
        Rule.FORGETS: "ほかのリポジトリのコードでの損失が{forgetting}増え、許容範囲の{margin}を超えました。",
        Rule.MEMORISES: (
            "学習データに埋め込んだ番号が、同じ形の{numbers}個の番号の中で第1位になりました。"
            "コードに書かれた内容が、そのまま出力されるおそれがあります。"
        ),
        Rule.NO_TIME: "時間が足りず、候補を一つも評価できませんでした。",
        Rule.FEW_SEEDS: "学習の回数が{seeds}回と少なく、結果のばらつきを判断できません（{needed}回必要）。",
        Rule.NOT_VISIBLE: (
            "補完が良くなったとまでは言えません。信頼区間は、"
            "完全一致が{exact_low}～{exact_high}、"
            "類似度が{similar_low}～{similar_high}です。設問を増やせば、はっきりします。"
        ),
        Rule.TOO_DEAR: "下に示す単価では、月額が外部の補完サービスの利用料を上回ります。",
        Rule.TOO_SLOW: "学習に{retraining}かかる計算になり、パソコンの稼働時間を超えます。",
    },
    not_measured_value="未測定",
    told="丸暗記の有無を調べるために埋め込んだ番号が、見分けられました（読んだ内容を再現するおそれがあります）",
    not_told="丸暗記の有無を調べるために埋め込んだ番号も、見分けられることはありませんでした",
    measured="対象の調査",
    measured_lead=(
        "学習に使えるコードの量を調べました。調査中、データは外部に送信されず、"
        "リポジトリ内のコードも実行していません。"
    ),
    files="学習に使えるコード",
    files_value="{files}ファイル、{lines}行、{tokens}トークン",
    languages="言語（ファイル数）",
    left_out="除外したもの",
    nothing_left_out="なし",
    left_out_reasons={
        "secret": "秘密情報を含む",
        "secret scan failed": "秘密情報の有無を確認できない",
        "generated": "自動生成",
        "vendored": "外部のコード",
        "hidden folder": "隠しフォルダー",
        "ignored": "gitの管理対象外",
        "language unknown": "対応していない形式",
        "too small": "短すぎる",
        "too large": "大きすぎる",
        "duplicate": "重複",
        "near-duplicate": "ほぼ重複",
        "symlink": "リンク",
        "unreadable": "読み取れない",
        "not UTF-8": "UTF-8以外の文字コード",
        "binary": "バイナリー",
        "not a regular file": "通常のファイルではない",
        "nested repository": "別のリポジトリ",
        "forgotten by the user": "利用者が学習対象から外した",
    },
    over_limit="上限を超過",
    other_reasons="その他",
    secrets="秘密情報",
    secrets_value="秘密情報を含むため除外したファイル：{secrets}個",
    history="変更履歴",
    history_value="{commits}件のコミットを調べました（過去に消された秘密情報と、最近の変更を知るため）。",
    no_history="読み取れる履歴がありません。",
    parts="データの分割",
    parts_value="学習用{train}ファイル、調整用{validation}ファイル、検証用{test}ファイル（重なりなし）",
    parts_too_few="ファイルが少なく、分割できません。",
    base_model="ベースモデル",
    base_model_value="このパソコンに保存済み。ライセンスは {licence}",
    tried="試した内容",
    tried_lead=(
        "短時間で試せる候補から順に、どれも同じ学習量で比べました。持ち時間は{minutes}分です。"
        "開始した作業は時間を過ぎても最後まで行います。実際に使った時間は{total}でした。"
    ),
    tried_table="候補の一覧",
    candidate="候補",
    what_it_is="概要",
    runs="学習回数",
    runs_note="学習{seeds}回",
    time_here="所要時間",
    result="判定",
    baselines="追加学習なし",
    baselines_what="ベースモデル単体と、Tailora に付属する標準アダプターを使った場合です。比較の基準になります。",
    steps={"seeds": "{method}（繰り返し）", "rates": "{method}（学習率の探索）"},
    methods={
        "lora": ("LoRA", "全層に小さな行列を加える方式。最も一般的な選択肢です。"),
        "ia3": ("IA3", "各層に少数の係数だけを加える方式。容量が最も小さくなります。"),
        "pfeiffer": ("ボトルネック型アダプター", "既存の層の間に小さな層を挟む方式です。"),
        "prefix": ("プレフィックスチューニング", "毎回の入力の前に、学習した値を置く方式です。"),
    },
    results={
        Verdict.STOP: "基準を満たさない",
        Verdict.EXTEND: "まだ判断できない",
        Verdict.ROLL_OUT: "すべての基準を満たす",
    },
    done="完了",
    failed="学習できず",
    skipped="時間が足りず、次の候補は試していません。",
    skipped_item="{name}（見込み{time}）",
    skipped_unknown="{name}（見込み時間は不明）",
    nothing_skipped="予定していた候補は、すべて試しました。",
    gained="得られた効果",
    gained_lead=(
        "数値はすべて、学習に使っていない検証用のコードで測ったもので、{reference}と比べた差を示します。"
        "信頼区間は、同様の検証で真の値が入ると考えられる範囲です。区間が0をまたぐ場合、差がない可能性があります。"
    ),
    references={
        "foundation": "Tailora 付属の標準アダプター（追加学習前に使われるもの）",
        "base": "ベースモデル単体（このモデルには標準アダプターが付属しないため）",
    },
    chart="予測の誤差（損失）の変化",
    chart_axis="損失の変化（%）　0より左が改善",
    chart_note="点は測定値、横棒は95%信頼区間を示します。",
    chart_summary="候補は {count} 件、損失が最も小さいのは {best} です。",
    gains_table="追加学習なしの場合との差",
    loss="損失",
    loss_note="小さいほど良い",
    exact_match="完全一致",
    similarity="類似度",
    forgetting="ほかのコードでの損失",
    forgetting_note="別リポジトリ",
    planted="埋め込んだ番号",
    planted_note="0なら見分けられない",
    insecure="危険な行",
    insecure_note="指摘数／行数",
    insecure_value="{issues}／{lines}",
    size="容量",
    nothing_gained="測定できた候補がないため、示せる効果はありません。",
    used="実際の利用状況",
    used_lead="このパソコンで、このリポジトリについて集計した値です。コードの内容は記録していません。",
    no_usage=(
        "まだ記録がありません。このリポジトリでは、提案の採用状況が一度も集計されていないためです。"
        "「段階的な展開」の第1段階で集計を始めます。それまでは、利用者の評価は分かりません。"
    ),
    used_table="提案の採用状況",
    who="提案元",
    used_before="追加学習なし",
    used_learned="追加学習あり",
    shown="表示した提案",
    accepted="採用された提案",
    characters="採用された文字数",
    per_suggestion="提案1件あたりの文字数",
    costs="費用",
    costs_lead=(
        "金額は、下の「前提とした値」から計算しています。既定値は{day}時点の仮定であり、"
        "特定の事業者の価格ではありません。"
        "自社の値に置き換えてご覧ください。"
    ),
    here_table="今回の検証にかかった費用",
    item="項目",
    amount="金額・数量",
    note="備考",
    here_time="時間",
    here_energy="消費電力量",
    here_energy_note="{watts}Wで動き続けたと仮定した推定値で、実測値ではありません。",
    here_money="電気代",
    month_table="月額費用（利用者{users}人）",
    per_user="1人あたり",
    own="自社の機器",
    own_note="{machines}台分の電気代（月{hours}時間）と、{months}か月で償却した機器代の合計",
    cloud="クラウド",
    cloud_note="GPU付きサーバー{machines}台を月{hours}時間借りた場合。そこでの処理速度は測っていません。",
    seats="外部の補完サービス",
    seats_note="比較用。コードの一部が社外のサーバーに送られる方式です。",
    no_price="単価の指定なし",
    lacks="単価の指定がない「{names}」を除く",
    retraining="学習の負荷",
    retraining_value="1台あたり月{hours}（ほかの作業と並行）",
    retraining_measured="このリポジトリの過去の学習記録による",
    retraining_bound="今回の検証による。通常の学習は量が多く、これより長くかかります。",
    retraining_unknown="学習を実施していないため不明",
    inputs_table="前提とした値",
    inputs_lead="0は「単価の指定なし」を意味し、合計から除いたうえでその旨を示します。",
    inputs={
        "users": "利用者数",
        "users_per_machine": "1台あたりの利用者数",
        "kwh": "電力単価（1kWh）",
        "watts": "稼働時の消費電力",
        "hardware": "機器の購入費（1台）",
        "months": "機器の使用期間",
        "hours": "月間の稼働時間",
        "days": "月間の稼働日数",
        "retrainings": "1人1日あたりの学習回数",
        "gpu_hour": "GPU付きサーバー（1時間）",
        "seat": "外部の補完サービス（1人月額）",
    },
    units={"watts": "W", "months": "か月", "hours": "時間", "days": "日", "users": "人", "retrainings": "回"},
    value="値",
    source="出典",
    default="{day}時点の仮定",
    given="指定値",
    option="指定方法",
    risks="リスクと対策",
    risks_lead=(
        "学習したアダプターは、提案に使われる前に必ず「合格判定」（一連の自動検査）を受けます。"
        "検査ごとの数値は `tailora adapter show` で確認できます。"
    ),
    risk="リスク",
    check="対応する検査・仕組み",
    seen="今回の結果",
    left="残るリスクと対応",
    risk_rows=(
        Risk(
            name="秘密情報の漏えい",
            what="パスワードや鍵を学習し、提案に出してしまう。",
            check=(
                "秘密情報を含むファイルは、履歴にだけ残るものも含めて学習から外します。"
                "合格判定では、その秘密情報を引き出せないことも確かめます。"
            ),
            seen="秘密情報により除外したファイル：{secrets}個",
            left=(
                "検出できない形式の秘密情報は残り得ます。"
                "除外の内訳は `tailora train --explain` で確認してください。"
            ),
        ),
        Risk(
            name="コードの丸暗記",
            what="読み込んだコードをそのまま出力する。",
            check="学習のたびに無作為な番号を埋め込み、それを出力するアダプターは不合格にします。",
            seen="埋め込んだ番号の見分けやすさ：{planted}",
            left="アダプターは元のコードと同じ機密区分で扱ってください。",
        ),
        Risk(
            name="危険なコード",
            what="脆弱性のあるコードを提案する。",
            check="今回の検証では、生成したPythonの行をセキュリティ検査ツール（bandit、導入済みの場合）にかけます。",
            seen="指摘数／行数：{insecure}",
            left="ほかの言語や、ツールの対象外の問題は検出できません。従来どおりのレビューが必要です。",
        ),
        Risk(
            name="汎用性能の低下",
            what="ほかの種類のコードが苦手になる。",
            check="合格判定では、Python標準ライブラリでの損失の増加を5%までに制限しています。",
            seen="ほかのコードでの損失：{forgetting}",
            left="検査に含まれない言語での低下は検出できません。",
        ),
        Risk(
            name="品質の変動",
            what="新しいアダプターが、前のものより悪くなる。",
            check=(
                "未学習のコードで現行版を上回らない限り、切り替わりません。利用開始後も、"
                "採用率が偶然とは言えない程度に下がった版は自動で取り下げます。"
            ),
            seen="損失の変化：{loss}",
            left="提案が60件に満たない間は判定できません。`tailora adapter rollback` で手動でも戻せます。",
        ),
        Risk(
            name="モデルのライセンス",
            what="利用条件に反する使い方になる。",
            check="カタログの各モデルのライセンスは `tailora model list` で確認できます。",
            seen="{licence}",
            left="法務担当による確認が必要です。リポジトリ内の他者のコードも同様です。",
        ),
        Risk(
            name="特定製品への依存",
            what="ほかの製品に移れなくなる。",
            check=(
                "アダプターはPEFTの公開形式で書き出せます（`tailora adapter export`）。"
                "ソースコードのライセンスは Apache-2.0 です。"
            ),
            seen="モデルもアダプターもこのパソコンに保存済み",
            left="アダプターは元のベースモデル専用です。モデルを変える場合は学習し直します。",
        ),
        Risk(
            name="知識の陳腐化",
            what="コードが変わり、提案が古くなる。",
            check="変更後に裏側で自動的に学習し直します。最近の変更を重視する設定もあります。",
            seen="確認したコミット：{commits}件",
            left="次の学習までは、開いているファイルの内容からしか変更を把握できません。",
        ),
        Risk(
            name="コードの閲覧範囲",
            what="コードが社外や、権限のない人の目に触れる。",
            check=(
                "処理はすべて利用者のパソコン内で完結し、利用状況の送信もありません。"
                "リポジトリをコピーしても、他人のアダプターは使えません。"
            ),
            seen="外部への送信なし",
            left="クラウドを使う場合は、他社のサーバーにコードを置くことになるため、別途検討が必要です。",
        ),
    ),
    stages="段階的な展開",
    stages_lead={
        Verdict.STOP: "現時点では推奨しません。実施する場合の手順を参考として示します。",
        Verdict.EXTEND: "今はまだ始めません。追加の検証で基準を満たした場合は、次の手順で進めます。",
        Verdict.ROLL_OUT: "条件を満たした場合に限り、次の段階へ進みます。",
    },
    stage_does="実施内容",
    stage_ends="次へ進む条件",
    stage_back="元に戻す手順",
    stage_rows=(
        Stage(
            name="第1段階：影響を出さずに試す",
            does=(
                '全員が `completion.adapter` を `"foundation"` に設定します。'
                "提案には付属の標準アダプターだけを使い、採用状況を集計します。"
                "その間も裏側で学習と合格判定は進み、結果は `tailora adapter list` で確認できます。"
            ),
            ends=(
                "2週間が経過し、提案が500件以上集計され、2版以上が合格判定を通り、"
                "秘密情報と埋め込み番号の検査で不合格がないこと。"
            ),
            back="`learning.enabled` を `false` に設定します。学習結果は `tailora adapter delete` で削除できます。",
        ),
        Stage(
            name="第2段階：一部の利用者",
            does=(
                '希望するチームの利用者だけが `completion.adapter` を `"serving"` に設定し、'
                "学習結果を反映した提案を受けます。"
            ),
            ends=(
                "2週間が経過し、提案1件あたりの採用文字数が第1段階を下回らず、自動で取り下げられた版がないこと"
                "（取り下げの基準：60件以上の提案で、採用率が2割以上かつ有意水準1%で低下）。"
            ),
            back="`tailora adapter rollback` で一つ前の版に、`tailora adapter disable` で標準アダプターに戻ります。",
        ),
        Stage(
            name="第3段階：全員",
            does='全員が `completion.adapter` を既定値の `"serving"` で使います。',
            ends="終了条件はありません。毎月 `tailora adapter list` を確認し、四半期ごとに本書を作り直します。",
            back="第2段階と同じです。自動で取り下げられた場合は、その理由が表示されます。",
        ),
    ),
    rules="判断の基準",
    rules_lead=(
        "候補ごとに判定し、最も良い判定を結論とします。同じ判定の候補が複数あれば、"
        "損失の小さいものを選びます。"
    ),
    rule_texts=(
        "見送り：リポジトリが小さく三つに分割できない場合、または、どの候補も学習できなかった場合。",
        "見送り：学習を{needed}回行っても、損失の減少が確かめられた候補がない場合（95%信頼区間の全体が0より下にあり、"
        "候補数を考慮したホルム法による補正後のp値が{level}未満であることを求めます）。",
        "見送り：完全一致または類似度が偶然とは言えない程度に下がった場合、または、"
        "セキュリティ検査の指摘が増えた場合（フィッシャーの正確確率検定でp値が{level}未満）。",
        "見送り：ほかのリポジトリのコードでの損失が{margin}を超えて増えた場合、または、"
        "埋め込んだ番号が同種の番号の中で第1位になった場合。",
        "検証の継続：学習が{needed}回に満たない場合、完全一致と類似度のどちらの改善も確かめられない場合、"
        "または、時間不足で候補を評価できなかった場合。",
        "検証の継続：月額が外部の補完サービスを上回る場合（単価が指定された場合のみ。既定の仮定値では判定しません）、または、"
        "学習時間がパソコンの稼働時間を超える場合。",
        "段階的な展開：上のいずれにも当てはまらない場合。",
    ),
    again="再現方法",
    again_lead="ファイル、バージョン、プロセッサーが同じであれば、時間を除いて同じ数値が得られます。",
    again_commands=(
        "本書を作り直す（済んだ学習は繰り返しません）",
        "すべての測定結果を詳しく見る",
        "推奨設定で学習する（使うかどうかは合格判定が決めます）",
        "学習の対象と除外の内訳を見る",
        "このパソコンに問題がないか調べる",
    ),
    not_measured="測定していないこと",
    not_measured_items=(
        "追加学習後の応答速度（`tailora bench latency` で測定できます）。",
        "コード補完以外の用途と、大きさの異なるモデル。",
        "上に示した集計以外の、利用者の評価。",
        "ほかのリポジトリでの効果と、長期間使った場合の変化。",
        "コンセントで実測した消費電力量。",
    ),
    gpu_not_measured="GPU（CUDA）を使った場合。所要時間や費用、有利な候補が変わる可能性があります。",
    glossary="用語集",
    glossary_items={
        "アダプター": "モデル本体を変えずに、出力の傾向だけを変える小さなファイルです。",
        "標準アダプター": (
            "Tailora に付属し、コードの途中を埋める動作をモデルに教えるものです。"
            "対象リポジトリの知識は持ちません。"
        ),
        "追加学習（ファインチューニング）": (
            "手元のデータでアダプターを調整することです。ここでは、コードの一部を隠し、"
            "それを埋める問題で学習します。"
        ),
        "学習回数（シード）": (
            "乱数だけを変えて同じ学習を繰り返した回数です。結果が偶然に左右される程度が分かります。"
        ),
        "検証データ": "学習に一切使わないファイルです。丸暗記ではなく、理解できているかを確かめます。",
        "損失": "コードを予測するときの外れ具合で、小さいほど良い値です（単位はnat／トークン）。",
        "完全一致": "隠した部分を、一字一句そのまま埋められた割合です。",
        "類似度": "答えが正解にどれだけ近いかを、0～100%で表した値です。",
        "95%信頼区間": "同様の検証から見て、真の値が入ると考えられる範囲です。",
        "学習率": "1回の調整でどれだけ大きく変えるかを決める値です。",
        "合格判定（ゲート）": "新しいアダプターを使ってよいかを決める、一連の自動検査です。",
        "埋め込んだ番号（カナリア）": (
            "モデルが内容を漏らさないか調べるため、学習データに入れる無作為な番号です。"
            "見分けやすさをビットで表し、0なら見分けられません。"
        ),
        "トークン": "モデルが扱う文字列の単位です。コードではおよそ3～4文字に当たります。",
        "GPU・CUDA": "画像処理や機械学習に使う演算装置と、それを利用するためのNVIDIA社の仕組みです。",
    },
)
